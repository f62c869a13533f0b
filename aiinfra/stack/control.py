"""Talking to the supervisor of a data directory over its socket."""

import hashlib
import os
import socket
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import psutil

SOCKET_PATH_BYTES = 90
"""macOS takes 104 bytes for the path of a socket, and supervisor binds at a path that is up to 11 longer first."""


ANSWER_LIMIT_S = 10.0
LOOK_EVERY_S = 0.2


class ControlError(Exception):
    """The supervisor of this data directory cannot be asked; the message says why, and what to do."""


class NotRunningError(ControlError):
    """No supervisor runs for this data directory."""


class NotAllowedError(ControlError):
    """It belongs to another user."""


class UnreachableError(ControlError):
    """Something is there, but it gives no answer that makes sense."""


@dataclass(frozen=True)
class Supervisor:
    """A supervisor that runs. `programs` has the process id of each program that has not ended."""

    pid: int
    is_stopping: bool
    programs: dict[str, int]


def socket_path(data_dir: Path) -> Path:
    """Where the supervisor of a data directory listens: in it, or among the temporary files if its path is too long."""
    path = data_dir / "supervisor.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return _private_directory() / f"{name}.sock"


def _private_directory() -> Path:
    """Others may write beside it, so it must be ours. Raises PermissionError where somebody else made it first."""
    directory = Path(tempfile.gettempdir()) / f"aiinfra-{os.geteuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
        raise PermissionError(f"{directory} belongs to somebody else; set TMPDIR to a directory of your own")
    return directory


def look(data_dir: Path) -> Supervisor:
    """The supervisor of a data directory, also one that is stopping. Raises ControlError."""
    return Supervisor(**_call(data_dir, "aiinfra.look"))


def shut_down(data_dir: Path, say: Callable[[str], object]) -> None:
    """Stop everything; returns when the supervisor and all its processes have ended. Raises ControlError.

    Tells `say` what it waits for, whenever that changes.
    """
    supervisor = look(data_dir)
    family = _family(supervisor)
    if not supervisor.is_stopping:
        _ask_to_stop(data_dir)
    said: list[str] = []
    while any(map(_runs, family)):
        if (names := _still_running(data_dir)) and names != said:
            say(f"Waiting for {', '.join(names)} ...")
            said = names
        time.sleep(LOOK_EVERY_S)


def _ask_to_stop(data_dir: Path) -> None:
    """Somebody else may have asked a moment before; supervisor refuses the second one."""
    try:
        _call(data_dir, "supervisor.shutdown")
    except ControlError:
        if not look(data_dir).is_stopping:
            raise


def _family(supervisor: Supervisor) -> list[psutil.Process]:
    """The supervisor and everything under it."""
    try:
        process = psutil.Process(supervisor.pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _runs(process: psutil.Process) -> bool:
    """One that has ended may stay as a zombie until its parent takes notice."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _still_running(data_dir: Path) -> list[str]:
    """Nothing where the supervisor is so near its end that it does not answer."""
    try:
        return sorted(look(data_dir).programs)
    except ControlError:
        return []


def _call(data_dir: Path, method: str) -> Any:
    path = socket_path(data_dir)
    try:
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=_Transport(path)) as server:
            return getattr(server, method)()
    except FileNotFoundError:
        raise NotRunningError(f"Nothing runs from {data_dir}. Start it with: make run") from None
    except ConnectionRefusedError:
        raise NotRunningError(
            f"Nothing runs from {data_dir}, but its supervisor was killed: programs that it started may still run. "
            "See docs/running.md, or start it with: make run"
        ) from None
    except PermissionError:
        raise NotAllowedError(f"Another user runs the product from {data_dir}: only that user can control it") from None
    except (OSError, HTTPException, xmlrpc.client.Error, ExpatError) as error:
        raise UnreachableError(f"The supervisor of {data_dir} gives no answer: {error!r}. Try again") from error


class _Connection(HTTPConnection):
    """HTTP over a Unix socket, with a limit for each answer."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_LIMIT_S)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_LIMIT_S)
        self.sock.connect(self._path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> HTTPConnection:
        """Kept where `close` looks for it, which otherwise leaves the socket open."""
        connection = _Connection(self._path)
        self._connection = host, connection
        return connection

"""Talks to the supervisor of a data directory over its socket."""

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
"""macOS limits socket paths to 104 bytes, and supervisor first binds to a path up to 11 characters longer."""


ANSWER_LIMIT_S = 10.0
POLL_EVERY_S = 0.2


class ControlError(Exception):
    """The supervisor of this data directory is unavailable; the message says why, and what to do."""


class NotRunningError(ControlError):
    """No supervisor runs for this data directory."""


class NotAllowedError(ControlError):
    """The supervisor belongs to another user."""


class UnreachableError(ControlError):
    """Something listens on the socket, but its response is invalid."""


@dataclass(frozen=True)
class Supervisor:
    """A running supervisor. `programs` has the process ID of each program that has not ended."""

    pid: int
    is_stopping: bool
    programs: dict[str, int]


def socket_path(data_dir: Path) -> Path:
    """The supervisor's socket: in the data directory, or in the temporary directory if its path is too long."""
    path = data_dir / "supervisor.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return _private_directory() / f"{name}.sock"


def _private_directory() -> Path:
    """A temporary directory is shared, so ours must be private. Raises PermissionError if another user created it
    first.
    """
    directory = Path(tempfile.gettempdir()) / f"aiinfra-{os.geteuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
        raise PermissionError(f"{directory} belongs to another user; set TMPDIR to a directory that you own")
    return directory


def find_supervisor(data_dir: Path) -> Supervisor:
    """The supervisor of a data directory, even while it is stopping. Raises ControlError."""
    return Supervisor(**_call(data_dir, "aiinfra.look"))


def shut_down(data_dir: Path, say: Callable[[str], object]) -> None:
    """Stop everything; returns when the supervisor and all its processes have ended. Raises ControlError.

    Calls `say` with what it is waiting for whenever that changes.
    """
    supervisor = find_supervisor(data_dir)
    family = _family(supervisor)
    if not supervisor.is_stopping:
        _ask_to_stop(data_dir)
    said: list[str] = []
    while any(map(_runs, family)):
        if (names := _still_running(data_dir)) and names != said:
            say(f"Waiting for {', '.join(names)} ...")
            said = names
        time.sleep(POLL_EVERY_S)


def _ask_to_stop(data_dir: Path) -> None:
    """Another caller may have asked a moment before; supervisor rejects the second request."""
    try:
        _call(data_dir, "supervisor.shutdown")
    except ControlError:
        if not find_supervisor(data_dir).is_stopping:
            raise


def _family(supervisor: Supervisor) -> list[psutil.Process]:
    """The supervisor and all its descendants."""
    try:
        process = psutil.Process(supervisor.pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _runs(process: psutil.Process) -> bool:
    """An ended process may remain as a zombie until its parent reaps it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _still_running(data_dir: Path) -> list[str]:
    """Empty if the supervisor is about to exit and no longer responds."""
    try:
        return sorted(find_supervisor(data_dir).programs)
    except ControlError:
        return []


def _call(data_dir: Path, method: str) -> Any:
    path = socket_path(data_dir)
    try:
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=_Transport(path)) as server:
            return getattr(server, method)()
    except FileNotFoundError:
        raise NotRunningError(f"Nothing is running from {data_dir}. Start it with: make run") from None
    except ConnectionRefusedError:
        raise NotRunningError(
            f"Nothing is running from {data_dir}, but its supervisor was killed. Programs that it started may "
            "still be running. See docs/running.md, or start it with: make run"
        ) from None
    except PermissionError:
        raise NotAllowedError(
            f"Another user is running the product from {data_dir}. Only that user can control it"
        ) from None
    except (OSError, HTTPException, xmlrpc.client.Error, ExpatError) as error:
        raise UnreachableError(f"The supervisor of {data_dir} is not responding: {error!r}. Try again") from error


class _Connection(HTTPConnection):
    """HTTP over a Unix socket, with a timeout for each answer."""

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
        """Stores the connection where `close` looks for it; otherwise the socket stays open."""
        connection = _Connection(self._path)
        self._connection = host, connection
        return connection

"""Talking to the supervisor of a data directory over its socket."""

import hashlib
import os
import tempfile
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

SOCKET_PATH_BYTES = 90
"""macOS takes 104 bytes for the path of a socket, and supervisor binds at a path that is up to 11 longer first."""


class NotRunningError(Exception):
    """No supervisor answers for this data directory."""


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


def is_running(data_dir: Path) -> bool:
    """Whether the product runs from this data directory."""
    try:
        _call(data_dir, "supervisor.getState")
    except NotRunningError:
        return False
    return True


def running_programs(data_dir: Path) -> dict[str, int]:
    """Name and process id of each program that runs. Raises NotRunningError."""
    programs: list[dict[str, Any]] = _call(data_dir, "supervisor.getAllProcessInfo")
    return {program["name"]: program["pid"] for program in programs if program["pid"]}


def shut_down(data_dir: Path) -> None:
    """Tell the supervisor to stop everything, and wait until it has ended. Raises NotRunningError."""
    _call(data_dir, "supervisor.shutdown")
    while is_running(data_dir):
        time.sleep(0.2)


def _call(data_dir: Path, method: str) -> Any:
    transport = SupervisorTransport(None, None, f"unix://{socket_path(data_dir)}")
    try:
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as server:
            return getattr(server, method)()
    except (OSError, xmlrpc.client.Error) as error:
        raise NotRunningError(f"Nothing runs from {data_dir}. Start it with: make run") from error

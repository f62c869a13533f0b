"""Keeps the data directory readable only by the user who runs the product.

New files are private because of the process's umask. This covers files of earlier versions, and copies.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection

from aiinfra.sqlite.process_lock import SUFFIXES

OTHERS = 0o077
OURS = (
    "secret_key",
    "api_key_pepper",
    "redis_password",
    "demo_api_key",
    "demo_password",
    "redis",
    "log",
    "static",
    "supervisor.sock",
    "supervisord.conf",
    "supervisord.pid",
    "addresses.json",
    "sandbox_book.jsonl",
)


def exposed() -> list[Path]:
    """Files and directories whose mode lets other users open them, even if a parent directory is private."""
    return [path for path in _ours() if not path.is_symlink() and path.stat().st_mode & OTHERS]


def protect() -> None:
    """Revoke the access of other users. Raises OSError."""
    for path in exposed():
        path.chmod(path.stat().st_mode & ~OTHERS)


def _ours() -> Iterator[Path]:
    """The whole data directory, or only our own files if it is shared with other programs."""
    directory = Path(settings.DATA_DIR)
    tops = [directory] if _is_ours_alone(directory) else [directory / name for name in OURS]
    if connection.vendor == "sqlite":
        database = str(connection.settings_dict["NAME"])
        tops += [Path(f"{database}{suffix}") for suffix in ("", "-wal", "-shm", *SUFFIXES)]
    existing = [top for top in tops if top.exists()]
    return iter(dict.fromkeys(path for top in existing for path in (top, *top.rglob("*")) if path.exists()))


def _is_ours_alone(directory: Path) -> bool:
    """Not a directory of another user, a shared one such as /tmp, a home directory, or one with the program in it."""
    if not directory.exists() or directory == Path.home() or Path(settings.BASE_DIR).is_relative_to(directory):
        return False
    state = directory.stat()
    return state.st_uid == os.geteuid() and not state.st_mode & stat.S_ISVTX

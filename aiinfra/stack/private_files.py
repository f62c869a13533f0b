"""Keeps the data directory readable only by the user who runs the product.

New files are private because of the process's umask. This covers files of earlier versions, and copies.
"""

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection

OTHERS = 0o077
OURS = (
    "secret_key",
    "api_key_pepper",
    "redis_password",
    "demo_password",
    "demo_api_key",
    "redis",
    "log",
    "supervisord.conf",
    "sandbox_book.jsonl",
)


def exposed() -> list[Path]:
    """The files and directories that other users can open."""
    return [path for path in _ours() if path.stat().st_mode & OTHERS]


def protect() -> None:
    """Revoke the access of other users. Raises OSError."""
    for path in exposed():
        path.chmod(path.stat().st_mode & ~OTHERS)


def _ours() -> Iterator[Path]:
    """Skips the contents of private directories, and the data directory, which may be shared."""
    paths = [Path(settings.DATA_DIR) / name for name in OURS]
    if connection.vendor == "sqlite":
        database = str(connection.settings_dict["NAME"])
        paths += [Path(f"{database}{suffix}") for suffix in ("", "-wal", "-shm")]
    return (path for path in paths if path.exists())

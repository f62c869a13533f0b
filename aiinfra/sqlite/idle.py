"""Keeps the connections that waiting threads release, for the next thread that needs one.

Opening a connection is expensive, mostly because each one reads the schema. If they were never released, hundreds of
waiting threads would each keep one, and each connection has its own schema and cache.
"""

import os
import sqlite3
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT_MAX = 16
"""Idle connections kept per process."""


@dataclass(frozen=True)
class Origin:
    """The file behind a connection, which another one may have replaced, and how it was opened."""

    device: int
    inode: int
    parameters: dict[str, Any]

    @classmethod
    def now(cls, parameters: dict[str, Any]) -> "Origin | None":
        """The origin of a new connection. None for a file that doesn't exist yet, and for an in-memory database."""
        try:
            found = Path(parameters["database"]).stat()
        except OSError:
            return None
        return cls(found.st_dev, found.st_ino, parameters)


_kept: deque[tuple[Origin, sqlite3.Connection]] = deque()
_of_the_parent: list[tuple[Origin, sqlite3.Connection]] = []
"""SQLite must not close connections that a fork has copied, so they are never dropped."""


def keep(origin: Origin, connection: sqlite3.Connection) -> None:
    """Leave a connection without transaction or open cursor to the next thread; close it if there are enough."""
    if len(_kept) < KEPT_MAX:
        _kept.append((origin, connection))
    else:
        connection.close()


def take(origin: Origin) -> sqlite3.Connection | None:
    """The connection that was kept last, if it has this origin. Others are closed: they are outdated."""
    while _kept:
        try:
            found, connection = _kept.pop()
        except IndexError:  # another thread was faster
            return None
        if found == origin:
            return connection
        connection.close()
    return None


def _after_fork() -> None:
    _of_the_parent.extend(_kept)
    _kept.clear()


os.register_at_fork(after_in_child=_after_fork)

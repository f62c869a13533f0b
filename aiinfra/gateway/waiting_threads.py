"""Lets threads wait on behalf of a client while other threads serve requests in their place."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from django.db import connections

from aiinfra.sqlite.base import DatabaseWrapper as SQLite

_replaced: Callable[[], AbstractContextManager[None]] = nullcontext


def replace_with(replaced: Callable[[], AbstractContextManager[None]]) -> None:
    """Register how the web server replaces a waiting thread; it does so in each of its processes."""
    global _replaced
    _replaced = replaced


def waiting() -> AbstractContextManager[None]:
    """Context for the time that a thread waits. Callers limit how many do."""
    return _replaced()


def release_connections() -> None:
    """Release this thread's database connections while it waits: several hundred would take much memory.

    Closing a PostgreSQL connection returns it to the pool.
    """
    for each in connections.all(initialized_only=True):
        if not each.in_atomic_block:
            each.release() if isinstance(each, SQLite) else each.close()

"""Whether this process can accept requests: the database is writable, has disk space, and is fully migrated.

For PostgreSQL, the check runs in its own thread: a frozen server doesn't respond at all, not even with an error.
"""

import logging
import threading
from collections.abc import Callable
from functools import cache

from django.db import DatabaseError, connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from aiinfra import full_disk

logger = logging.getLogger(__name__)

TIMEOUT_S = 3.0
"""Timeout for the database check."""
NO_ANSWER = "the database is not responding"


def obstacle() -> str:
    """Why requests cannot be accepted; empty if they can."""
    found = _check.answer(TIMEOUT_S) if connection.vendor == "postgresql" else check_now()
    if found:
        logger.warning("not ready: %s", found)
    return found


class _Check:
    """Runs a check in a thread. While it hangs, everyone gets `NO_ANSWER` after the timeout."""

    def __init__(self, check: Callable[[], str]) -> None:
        self._run_check = check
        self._lock = threading.Lock()
        self._running: _Run | None = None

    def answer(self, timeout_s: float) -> str:
        with self._lock:
            if self._running is None or self._running.ended.is_set():
                self._running = _Run(self._run_check)
            running = self._running
        return running.found if running.ended.wait(timeout_s) else NO_ANSWER


class _Run:
    def __init__(self, check: Callable[[], str]) -> None:
        self.ended = threading.Event()
        self.found = NO_ANSWER
        self._run_check = check
        threading.Thread(target=self._run, name="readiness", daemon=True).start()

    def _run(self) -> None:
        try:
            self.found = self._run_check()
        except Exception:
            logger.warning("readiness check failed", exc_info=True)
        finally:
            connections.close_all()
            self.ended.set()


def check_now() -> str:
    """The obstacle that this thread's connection finds; empty if there is none."""
    try:
        return _of_database()
    except DatabaseError:
        return NO_ANSWER


def _of_database() -> str:
    if connection.vendor == "postgresql" and _is_read_only():
        connection.connection.close()  # not into the pool: a new connection may find the new primary
        return "the database is read-only"
    connection.cursor().execute("SELECT 1")
    if full_disk.is_full():
        return full_disk.FULL
    return "" if _is_migrated() else "migrations are missing: run manage.py release"


def _is_read_only() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        return bool(cursor.fetchone() == ("on",))


_migrated = False


def _is_migrated() -> bool:
    """Migrations are never taken back, so they are not checked again once all are applied."""
    global _migrated
    if not _migrated:
        _migrated = _needed() <= set(MigrationRecorder(connection).applied_migrations())
    return _migrated


@cache
def _needed() -> frozenset[tuple[str, str]]:
    disk = MigrationLoader(None, ignore_no_migrations=True).disk_migrations or {}
    return frozenset(disk)


_check = _Check(check_now)

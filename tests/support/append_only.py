"""Letting the test runner empty the database although its tables refuse DELETE."""

from collections.abc import Iterable

import pytest
from django.db import connection
from django.db.backends.base.operations import BaseDatabaseOperations


def triggers() -> list[tuple[str, str]]:
    """Name and SQL of SQLite's triggers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return cursor.fetchall()


def let_flush_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the triggers off while Django flushes SQLite after a transactional test; TRUNCATE elsewhere passes them."""
    if connection.vendor != "sqlite":
        return
    flush = type(connection.ops).execute_sql_flush

    def without_triggers(operations: BaseDatabaseOperations, sql_list: Iterable[str]) -> None:
        found = triggers()
        with connection.cursor() as cursor:
            for name, _ in found:
                cursor.execute(f"DROP TRIGGER {name}")
        flush(operations, sql_list)
        with connection.cursor() as cursor:
            for _, sql in found:
                cursor.execute(sql)

    monkeypatch.setattr(type(connection.ops), "execute_sql_flush", without_triggers)

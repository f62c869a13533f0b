"""Emptying the database after a test that commits, although its tables refuse DELETE.

Django's flush takes 0.3 to 2 s: TRUNCATE makes new files for every table and index of PostgreSQL, and permissions and
content types are written again each time. A test leaves few rows, so deleting them takes milliseconds.
"""

import pytest
from django.db import connection, transaction
from django.test import TransactionTestCase

KEPT = frozenset({"auth_permission", "django_content_type", "django_migrations"})
"""What `migrate` wrote and no test changes."""


def empty_after_each_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put `empty` in the place of Django's flush."""
    monkeypatch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: empty())


def empty() -> None:
    """Delete all rows, with triggers and foreign keys off meanwhile (on PostgreSQL, tests connect as a superuser)."""
    with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
        found = triggers()
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
        for name, _ in found:
            cursor.execute(f"DROP TRIGGER {name}")
        for table in sorted(set(connection.introspection.table_names(cursor)) - KEPT):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")  # noqa: S608 - names from the catalog
        for _, sql in found:
            cursor.execute(sql)


def triggers() -> list[tuple[str, str]]:
    """Name and SQL of SQLite's triggers, which cannot be switched off."""
    if connection.vendor != "sqlite":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return list(cursor.fetchall())

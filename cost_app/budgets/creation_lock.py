"""Serializes budget creation and call admission, so that a new budget counts each call exactly once.

A call that is being admitted has already read the budgets, and the transaction that creates a budget cannot see the
call yet. On PostgreSQL, calls share an advisory lock per organization, and creating a budget takes it exclusively.
SQLite has one writer.
"""

from django.db import connection

LOCK = 20_611
"""Distinguishes this advisory lock from others in the database."""


def lock_shared(organization_id: int) -> None:
    """For a call, before it reads the budgets: no budget is created until the transaction ends."""
    _lock("pg_advisory_xact_lock_shared", organization_id)


def lock_exclusive(organization_id: int) -> None:
    """For a new budget: waits for the calls being admitted, and blocks new ones until this transaction ends."""
    _lock("pg_advisory_xact_lock", organization_id)


def _lock(function: str, organization_id: int) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(%s, %s)", [LOCK, organization_id])

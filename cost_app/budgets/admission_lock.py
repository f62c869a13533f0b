"""Keeps calls that are being admitted apart from the setting up of a budget, so that it counts each of them once.

Such a call has read which budgets there are, and the transaction that sets one up cannot see the call yet. On
PostgreSQL calls share a lock of their organization, and setting up a budget takes it alone. SQLite has one writer.
"""

from django.db import connection

LOCK = 20_611
"""Tells this advisory lock from others in the database."""


def share(organization_id: int) -> None:
    """For a call, before it reads the budgets: until the transaction ends, no budget is set up."""
    _lock("pg_advisory_xact_lock_shared", organization_id)


def take_alone(organization_id: int) -> None:
    """For a new budget: waits until calls being admitted are committed, and lets no other begin before this is."""
    _lock("pg_advisory_xact_lock", organization_id)


def _lock(function: str, organization_id: int) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(%s, %s)", [LOCK, organization_id])

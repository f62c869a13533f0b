"""Locks of PostgreSQL."""

from django.db import connection


def is_blocking() -> bool:
    """Whether another connection waits for a lock of this one."""
    query = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
    with connection.cursor() as cursor:
        cursor.execute(query)
        return bool(cursor.fetchone()[0])

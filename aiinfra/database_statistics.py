"""Keeps the figures from which SQLite chooses indexes up to date, as autovacuum does on PostgreSQL."""

from django.db import connection

EVERY_S = 24 * 3600
ROWS_READ = 400
"""Per index: enough to tell a column that says much from one that says little, in milliseconds."""


def keep_statistics() -> None:
    """Count how selective each index is. Without it, SQLite takes an organization to have ten rows of a table."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA analysis_limit={ROWS_READ}")
            cursor.execute("ANALYZE")

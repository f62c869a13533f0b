"""Keeps SQLite's query planner statistics up to date, as autovacuum does on PostgreSQL."""

from django.db import connection

EVERY_S = 24 * 3600
ROWS_READ = 400
"""Rows sampled per index: enough to distinguish selective columns from others, within milliseconds."""


def keep_statistics() -> None:
    """Measure how selective each index is. Without this, SQLite assumes that an organization has ten rows per table."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA analysis_limit={ROWS_READ}")
            cursor.execute("ANALYZE")

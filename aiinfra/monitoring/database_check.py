"""Checks that the database responds and has free disk space."""

import logging
from contextlib import suppress

from django.db import DatabaseError, connection, transaction

from aiinfra import full_disk

logger = logging.getLogger(__name__)

ONE_MEGABYTE = (
    "CREATE TEMPORARY TABLE aiinfra_room ON COMMIT DROP AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)"
)


def database_obstacle() -> str:
    """Why the database cannot be used, as the end of a sentence; empty if it can."""
    try:
        connection.ensure_connection()
        connection.cursor().execute("SELECT 1")
    except DatabaseError:
        logger.warning("health check failed", exc_info=True)
        return "the database is unreachable"
    return full_disk.FULL if full_disk.is_full() else ""


def has_room() -> bool:
    """Whether the database can store more. Writes a megabyte to PostgreSQL, and drops it again."""
    if connection.vendor == "postgresql":
        with suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(ONE_MEGABYTE)
    return not full_disk.is_full()

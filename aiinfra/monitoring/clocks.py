"""Compares this host's clock with those of the database and of Redis."""

import time
from collections.abc import Callable
from datetime import datetime

from django.db import connection

from aiinfra.redis import redis_client


def database_skew_s() -> float:
    """By how many seconds the database's clock is ahead of this host's. 0 for SQLite, which has none of its own.

    Raises DatabaseError.
    """
    return _ahead(_database_time) if connection.vendor == "postgresql" else 0.0


def redis_skew_s() -> float:
    """By how many seconds the clock of Redis is ahead of this host's. Raises RedisError."""
    return _ahead(_redis_time)


def _ahead(read: Callable[[], float]) -> float:
    """Compared with the middle of the question and its answer."""
    asked = time.time()
    theirs = read()
    return theirs - (asked + time.time()) / 2


def _database_time() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now.timestamp()


def _redis_time() -> float:
    seconds, microseconds = redis_client().time()
    return float(seconds) + float(microseconds) / 1e6

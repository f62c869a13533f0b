"""Compares this host's clock with those of the database and of Redis."""

import time

from django.db import connection

from aiinfra import database_time
from aiinfra.redis import redis_client


def database_skew_s() -> float:
    """By how many seconds the database's clock is ahead of this host's. 0 for SQLite, which has none of its own.

    Raises DatabaseError.
    """
    return database_time.measure().ahead.total_seconds() if connection.vendor == "postgresql" else 0.0


def redis_skew_s() -> float:
    """By how many seconds the clock of Redis is ahead of this host's. Raises RedisError."""
    asked = time.time()
    seconds, microseconds = redis_client().time()
    return float(seconds) + float(microseconds) / 1e6 - (asked + time.time()) / 2

"""Checks that Redis accepts writes: a full server or a replica answers PING but stores nothing."""

import logging

from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError

from aiinfra.redis import redis_client

logger = logging.getLogger(__name__)

PROBE = "aiinfra:probe"
PROBE_S = 60
SHOWN = 100


def redis_obstacle() -> str:
    """Why Redis does not take writes, as the end of a sentence; empty if it does."""
    try:
        redis_client().set(PROBE, "1", ex=PROBE_S)
    except RedisError as error:
        logger.warning("Redis does not accept writes", exc_info=True)
        return _words(error)
    return ""


def _words(error: RedisError) -> str:
    match error:
        case OutOfMemoryError():
            return "Redis is full (maxmemory)"
        case ReadOnlyError():
            return "Redis is a read-only replica"
        case ResponseError():
            return f"Redis rejects writes ({str(error)[:SHOWN]})"
    return "Redis is unreachable"

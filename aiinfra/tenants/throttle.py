"""Slows down password guessing."""

import hashlib
import logging

from redis.exceptions import RedisError

from aiinfra.redis import redis_client

logger = logging.getLogger(__name__)

FAILURES_MAX = 10
WINDOW_S = 300


def may_try(name: str, address: str) -> bool:
    """Whether the name and address had fewer than 10 failures in 5 minutes. True while Redis is down."""
    try:
        return int(redis_client().get(_key(name, address)) or 0) < FAILURES_MAX
    except RedisError:
        logger.warning("login attempts are not counted because Redis is down")
        return True


def count_failure(name: str, address: str) -> None:
    """Count one wrong password; the first one starts the 5 minutes."""
    try:
        with redis_client().pipeline() as pipeline:
            pipeline.incr(_key(name, address))
            pipeline.expire(_key(name, address), WINDOW_S, nx=True)
            pipeline.execute()
    except RedisError:
        logger.warning("a failed login was not counted because Redis is down")


def _key(name: str, address: str) -> str:
    digest = hashlib.sha256(f"{name.casefold()}\0{address}".encode(errors="surrogatepass")).hexdigest()
    return f"login-failures:{digest}"

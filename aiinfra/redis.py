"""The one way to connect to Redis: two bounded pools per process and address, with short timeouts and no retries."""

from functools import cache

from django.conf import settings
from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def redis_client() -> Redis:
    """A client of `settings.REDIS_URL` that returns `str`; one per process, thread-safe and fork-safe.

    Raises redis.RedisError within about `REDIS_TIMEOUT_S` if Redis hangs, and immediately if it refuses connections. A
    thread that finds all `REDIS_MAX_CONNECTIONS` in use waits as long for one, then gets the same error.
    """
    return _client(settings.REDIS_URL, decode_responses=True)


def bytes_client() -> Redis:
    """The same client, returning `bytes`, as RQ requires."""
    return _client(settings.REDIS_URL, decode_responses=False)


@cache
def _client(url: str, *, decode_responses: bool) -> Redis:
    """redis-py's pool notices a fork and opens new connections in the child, on demand."""
    pool = BlockingConnectionPool.from_url(
        url,
        timeout=settings.REDIS_TIMEOUT_S,
        socket_timeout=settings.REDIS_TIMEOUT_S,
        socket_connect_timeout=settings.REDIS_TIMEOUT_S,
        max_connections=settings.REDIS_MAX_CONNECTIONS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=decode_responses,
    )
    return Redis(connection_pool=pool)

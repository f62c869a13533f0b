"""The one way to Redis: two pools per process and address, of bounded size, with short timeouts and no retries."""

from functools import cache

from django.conf import settings
from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def redis_client() -> Redis:
    """A client of `settings.REDIS_URL` that returns `str`; one per process, safe between threads and after a fork.

    Raises redis.RedisError within about `REDIS_TIMEOUT_S` where Redis hangs, and at once where it refuses. A thread
    that finds all `REDIS_MAX_CONNECTIONS` in use waits as long for one, then gets the same error.
    """
    return _client(settings.REDIS_URL, decode_responses=True)


def bytes_client() -> Redis:
    """The same, returning `bytes`, as RQ wants it."""
    return _client(settings.REDIS_URL, decode_responses=False)


@cache
def _client(url: str, *, decode_responses: bool) -> Redis:
    """redis-py's pool notices a fork and opens its own connections in the child. It opens them as they are needed."""
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

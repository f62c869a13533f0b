"""Redis connections: two bounded pools per process and URL, with short timeouts and no retries."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import NoScriptError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from aiinfra.configuration.sentinels import sentinels_of


def redis_client() -> Redis:
    """A client of `settings.REDIS_URL` that returns `str`; one per process, thread-safe and fork-safe.

    Raises redis.RedisError within about `REDIS_TIMEOUT_S` if Redis hangs, and immediately if it refuses connections. A
    thread that finds all `REDIS_MAX_CONNECTIONS` in use waits equally long for one, then gets the same error.
    """
    return _client(settings.REDIS_URL, decode_responses=True)


def bytes_client() -> Redis:
    """The same client, returning `bytes`, as RQ requires."""
    return _client(settings.REDIS_URL, decode_responses=False)


@dataclass(frozen=True)
class ScriptCall:
    """A script to run, alone or in one round trip with others."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[str | float]

    def run(self) -> Any:
        """The script's result. Raises RedisError."""
        return self.script(keys=self.keys, args=self.arguments, client=redis_client())


def run_together(calls: Sequence[ScriptCall]) -> list[Any]:
    """Run the scripts in order and in one round trip. Returns their results.

    A process loads each script on first use. If the server has lost a script since, it is loaded again in a second
    round trip and runs last. Raises RedisError; the other scripts have run by then.
    """
    if not calls:
        return []
    loaded = _loaded(settings.REDIS_URL)
    with redis_client().pipeline(transaction=False) as pipeline:
        new = {call.script.sha: call.script for call in calls if call.script.sha not in loaded}
        for script in new.values():
            pipeline.script_load(script.script)
        for call in calls:
            pipeline.evalsha(call.script.sha, len(call.keys), *call.keys, *call.arguments)
        results = pipeline.execute(raise_on_error=False)[len(new) :]
    for number, result in enumerate(results):
        if isinstance(result, NoScriptError):
            results[number] = calls[number].run()
        elif isinstance(result, Exception):
            raise result
    loaded.update(new)
    return results


@cache
def _loaded(url: str) -> set[str]:  # noqa: ARG001 - one set per server
    """Hashes of the scripts that this process has loaded there."""
    return set()


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """A bounded pool whose connections go to the current primary, as reported by the Sentinels."""


@cache
def _client(url: str, *, decode_responses: bool) -> Redis:
    """redis-py's pool notices a fork and opens new connections in the child, on demand."""
    limits = {
        "socket_timeout": settings.REDIS_TIMEOUT_S,
        "socket_connect_timeout": settings.REDIS_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
    }
    bounds = {"timeout": settings.REDIS_TIMEOUT_S, "max_connections": settings.REDIS_MAX_CONNECTIONS}
    options = {**limits, **bounds, "decode_responses": decode_responses}
    found = sentinels_of(url)
    if found is None:
        return Redis(connection_pool=BlockingConnectionPool.from_url(url, **options))
    sentinel = Sentinel(found.addresses, sentinel_kwargs={**limits, **found.sentinel})
    pool = _SentinelPool(found.service, sentinel, **{**options, **found.server})  # type: ignore[no-untyped-call]
    return Redis(connection_pool=pool)

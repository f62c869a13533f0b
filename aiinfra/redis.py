"""Redis connections: two bounded pools per process and URL, with short timeouts and no retries."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import hiredis
from django.conf import settings
from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.connection import ConnectionInterface
from redis.exceptions import NoScriptError, ResponseError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from aiinfra.configuration.sentinels import sentinels_of

Command = tuple[Any, ...]
"""The name of a command and its arguments."""


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
        return run_together([self])[0]

    @property
    def command(self) -> Command:
        """The script by its hash. Redis replies with NoScriptError if it doesn't have the script."""
        return "EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.arguments


def run_together(calls: Sequence[ScriptCall]) -> list[Any]:
    """Run the scripts in order and in one round trip. Returns their results.

    A process loads each script on first use. If the server has lost a script since, it is loaded again in a second
    round trip and runs last. Raises RedisError; the other scripts have run by then.
    """
    if not calls:
        return []
    loaded = _loaded(settings.REDIS_URL)
    new = {call.script.sha: call.script for call in calls if call.script.sha not in loaded}
    loading: list[Command] = [("SCRIPT", "LOAD", script.script) for script in new.values()]
    results = exchange([*loading, *(call.command for call in calls)])[len(new) :]
    for number, result in enumerate(results):
        if isinstance(result, NoScriptError):
            call = calls[number]
            results[number] = call.script(keys=call.keys, args=call.arguments, client=redis_client())
        elif isinstance(result, Exception):
            raise result
    loaded.update(new)
    return results


def exchange(commands: Sequence[Command]) -> list[Any]:
    """Send commands in one round trip. Returns their replies, with a ResponseError for each command that failed.

    For what every request does: a pipeline of redis-py takes twice the CPU for retries and metrics that we don't use.
    Raises RedisError if Redis can't be reached.
    """
    pool = redis_client().connection_pool
    connection = pool.get_connection()
    try:
        connection.send_packed_command([b"".join([hiredis.pack_command(each) for each in commands])])
        return [_reply(connection) for _ in commands]
    except BaseException:
        connection.disconnect()  # its next user must not read replies to these commands
        raise
    finally:
        pool.release(connection)


def _reply(connection: ConnectionInterface) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


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

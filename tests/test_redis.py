import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest
from pytest_django.fixtures import Settings
from redis import Redis, RedisError, ResponseError
from redis import TimeoutError as RedisTimeoutError

from aiinfra import redis as module
from aiinfra.redis import ScriptCall, bytes_client, exchange, redis_client, run_together

pytestmark = pytest.mark.usefixtures("redis_url")


def test_client_decodes_text_and_shares_one_pool() -> None:
    redis_client().set("name", "värde")
    assert redis_client().get("name") == "värde"
    assert redis_client().connection_pool is redis_client().connection_pool


def test_an_exchange_returns_each_reply_or_error() -> None:
    key = str(uuid4())
    first, error, last = exchange([("SET", key, "värde"), ("HGET", key, "field"), ("GET", key)])
    assert (first, last) == ("OK", "värde")
    assert isinstance(error, ResponseError)


@pytest.fixture
def production_client() -> Iterator[Redis]:
    """A client with the production timeouts instead of the tests'."""
    module._client.cache_clear()
    yield redis_client()
    module._client.cache_clear()


def test_client_has_a_short_timeout_and_no_retries(production_client: Redis) -> None:
    keywords = production_client.connection_pool.connection_kwargs
    assert keywords["socket_timeout"] == keywords["socket_connect_timeout"] == 0.5
    assert keywords["retry"].get_retries() == 0


def test_replies_that_came_too_late_are_not_read_by_the_next_exchange(production_client: Redis) -> None:
    with pytest.raises(RedisTimeoutError):
        exchange([("BLPOP", str(uuid4()), 30)])
    assert exchange([("ECHO", "next")]) == ["next"]
    assert len(production_client.connection_pool._connections) == 1


@pytest.fixture
def five_connections(settings: Settings) -> Iterator[Redis]:
    """A client whose pool has five connections and a wait timeout that even a slow machine does not reach."""
    settings.REDIS_MAX_CONNECTIONS, settings.REDIS_TIMEOUT_S = 5, 60
    module._client.cache_clear()
    yield redis_client()
    module._client.cache_clear()


def test_threads_wait_for_a_free_connection(five_connections: Redis) -> None:
    pool = five_connections.connection_pool
    held = [pool.get_connection() for _ in range(5)]
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(bool(five_connections.ping()))) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert answers == []
    for connection in held:
        pool.release(connection)
    for thread in threads:
        thread.join()
    assert answers == [True] * 20
    assert len(pool._connections) == 5, "more connections were opened than REDIS_MAX_CONNECTIONS"


def test_a_pool_timeout_raises_a_redis_error(five_connections: Redis) -> None:
    five_connections.connection_pool.timeout = 0.01
    held = [five_connections.connection_pool.get_connection() for _ in range(5)]
    with pytest.raises(RedisError, match="No connection available"):
        five_connections.ping()
    for connection in held:
        five_connections.connection_pool.release(connection)
    assert five_connections.ping()


def test_text_and_bytes_clients_have_separate_pools_of_the_same_size(five_connections: Redis) -> None:
    pools = [redis_client().connection_pool, bytes_client().connection_pool]
    assert [pool.max_connections for pool in pools] == [5, 5]
    assert pools[0] is not pools[1]


def test_connections_are_opened_on_demand(five_connections: Redis) -> None:
    assert five_connections.connection_pool._connections == []
    five_connections.ping()
    five_connections.ping()
    assert len(five_connections.connection_pool._connections) == 1


def appending(word: str, comment: str) -> ScriptCall:
    """A script that appends a word. Each comment makes a different script, which the server has not loaded yet."""
    script = redis_client().register_script(f"return redis.call('APPEND', KEYS[1], ARGV[1]) -- {comment}")
    return ScriptCall(script, ["said"], [word])


def test_scripts_run_in_order_if_the_first_one_is_not_loaded() -> None:
    known, new = appending("b", "known"), appending("a", uuid4().hex)
    known.run()
    redis_client().delete("said")
    assert run_together([new, known]) == [1, 2]
    assert redis_client().get("said") == "ab"


def test_scripts_are_reloaded_after_a_script_flush() -> None:
    calls = [appending("a", "first"), appending("b", "second")]
    run_together(calls)
    redis_client().script_flush()
    redis_client().delete("said")
    assert run_together(calls) == [1, 2]

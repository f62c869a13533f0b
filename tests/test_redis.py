import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest
from pytest_django.fixtures import Settings
from redis import Redis, RedisError

from aiinfra import redis as module
from aiinfra.redis import ScriptCall, bytes_client, redis_client, run_together

pytestmark = pytest.mark.usefixtures("redis_url")


def test_it_returns_text_and_shares_one_pool() -> None:
    redis_client().set("name", "värde")
    assert redis_client().get("name") == "värde"
    assert redis_client().connection_pool is redis_client().connection_pool


@pytest.fixture
def impatient() -> Iterator[Redis]:
    """A client with the product's timeouts, not those of the tests."""
    module._client.cache_clear()
    yield redis_client()
    module._client.cache_clear()


def test_a_hung_server_costs_one_timeout_and_no_retries(impatient: Redis) -> None:
    keywords = impatient.connection_pool.connection_kwargs
    assert keywords["socket_timeout"] == keywords["socket_connect_timeout"] == 0.5
    assert keywords["retry"].get_retries() == 0


@pytest.fixture
def five(settings: Settings) -> Iterator[Redis]:
    """A client whose pool has five connections, and so many seconds to wait for one that no machine is too slow."""
    settings.REDIS_MAX_CONNECTIONS, settings.REDIS_TIMEOUT_S = 5, 60
    module._client.cache_clear()
    yield redis_client()
    module._client.cache_clear()


def test_more_threads_than_connections_wait_for_each_other(five: Redis) -> None:
    pool = five.connection_pool
    held = [pool.get_connection() for _ in range(5)]
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(bool(five.ping()))) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert answers == []
    for connection in held:
        pool.release(connection)
    for thread in threads:
        thread.join()
    assert answers == [True] * 20
    assert len(pool._connections) == 5, "no more than the setting were opened"


def test_a_pool_timeout_raises_a_redis_error(five: Redis) -> None:
    five.connection_pool.timeout = 0.01
    held = [five.connection_pool.get_connection() for _ in range(5)]
    with pytest.raises(RedisError, match="No connection available"):
        five.ping()
    for connection in held:
        five.connection_pool.release(connection)
    assert five.ping()


def test_text_and_bytes_have_a_pool_each_of_the_same_size(five: Redis) -> None:
    pools = [redis_client().connection_pool, bytes_client().connection_pool]
    assert [pool.max_connections for pool in pools] == [5, 5]
    assert pools[0] is not pools[1]


def test_a_pool_opens_connections_as_they_are_needed(five: Redis) -> None:
    assert five.connection_pool._connections == []
    five.ping()
    five.ping()
    assert len(five.connection_pool._connections) == 1


def appending(word: str, comment: str) -> ScriptCall:
    """Appends a word. The comment is part of the script, so a new comment makes one that the server does not know."""
    script = redis_client().register_script(f"return redis.call('APPEND', KEYS[1], ARGV[1]) -- {comment}")
    return ScriptCall(script, ["said"], [word])


def test_scripts_run_in_order_even_if_the_server_does_not_know_the_first_one() -> None:
    known, new = appending("b", "known"), appending("a", uuid4().hex)
    known.run()
    redis_client().delete("said")
    assert run_together([new, known]) == [1, 2]
    assert redis_client().get("said") == "ab"


def test_a_server_that_has_lost_a_script_gets_it_again() -> None:
    calls = [appending("a", "first"), appending("b", "second")]
    run_together(calls)
    redis_client().script_flush()
    redis_client().delete("said")
    assert run_together(calls) == [1, 2]

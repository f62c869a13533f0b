import pytest

from aiinfra.redis import redis_client

pytestmark = pytest.mark.usefixtures("redis_url")


def test_it_returns_text_and_shares_one_pool() -> None:
    redis_client().set("name", "värde")
    assert redis_client().get("name") == "värde"
    assert redis_client().connection_pool is redis_client().connection_pool


def test_a_hung_server_costs_one_timeout_and_no_retries() -> None:
    keywords = redis_client().connection_pool.connection_kwargs
    assert keywords["socket_timeout"] == keywords["socket_connect_timeout"] == 0.5
    assert keywords["retry"].get_retries() == 0

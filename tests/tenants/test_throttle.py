import pytest
from pytest_django.fixtures import Settings
from redis import Redis

from aiinfra.tenants import throttle
from tests.support.processes import free_port


def test_the_eleventh_try_of_a_name_from_an_address_waits(redis_url: str) -> None:
    for _ in range(10):
        assert throttle.may_try("owner", "10.0.0.1")
        throttle.count_failure("owner", "10.0.0.1")
    assert not throttle.may_try("OWNER", "10.0.0.1")
    assert throttle.may_try("owner", "10.0.0.2")
    assert throttle.may_try("admin", "10.0.0.1")


def test_the_count_ends_after_five_minutes_and_holds_no_names(redis_url: str) -> None:
    throttle.count_failure("owner", "10.0.0.1")
    throttle.count_failure("owner", "10.0.0.1")
    redis = Redis.from_url(redis_url, decode_responses=True)
    (key,) = redis.keys()  # type: ignore[misc]
    assert 0 < redis.ttl(key) <= 300  # type: ignore[operator]
    assert "owner" not in key
    assert "10.0.0.1" not in key


@pytest.mark.parametrize("name", ["", "\0", "\ud800", "x" * 100_000])
def test_any_name_can_be_counted(redis_url: str, name: str) -> None:
    throttle.count_failure(name, "")
    assert throttle.may_try(name, "")


def test_without_redis_people_get_in(settings: Settings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    throttle.count_failure("owner", "10.0.0.1")
    assert throttle.may_try("owner", "10.0.0.1")

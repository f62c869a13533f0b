"""Rate limits on login attempts, by username and by address."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from pytest_django.fixtures import Settings
from redis import Redis

from aiinfra.tenants.login import attempts
from aiinfra.tenants.login.attempts import TooManyAttemptsError
from tests.support.processes import free_port


@pytest.fixture(params=["redis", "without redis"])
def counters(request: pytest.FixtureRequest, settings: Settings) -> None:
    """Where attempts are counted: in Redis, and in memory without it."""
    if request.param == "redis":
        request.getfixturevalue("redis_url")
    else:
        settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"


def allowed_attempts(name: str, address: str, times: int) -> int:
    allowed = 0
    for _ in range(times):
        try:
            attempts.begin(name, address)
        except TooManyAttemptsError:
            continue
        allowed += 1
    return allowed


@pytest.mark.usefixtures("counters")
def test_username_and_address_pair_is_limited_to_ten_failures() -> None:
    assert allowed_attempts("owner", "10.0.0.1", 12) == 10
    assert allowed_attempts("owner", "10.0.0.2", 1) == 1
    assert allowed_attempts("admin", "10.0.0.1", 1) == 1


@pytest.mark.usefixtures("counters")
def test_error_says_when_to_try_again() -> None:
    allowed_attempts("owner", "10.0.0.1", 10)
    with pytest.raises(TooManyAttemptsError, match="5 minutes") as refused:
        attempts.begin("owner", "10.0.0.1")
    assert 290 < refused.value.retry_after_s <= 300


@pytest.mark.usefixtures("counters")
@pytest.mark.parametrize("other", ["owner ", "\u2003owner", "OWNER", "\uff4f\uff57\uff4e\uff45\uff52", "owner\t"])
def test_spelling_variants_of_a_username_share_a_limit(other: str) -> None:
    assert allowed_attempts("owner", "10.0.0.1", 10) == 10
    assert allowed_attempts(other, "10.0.0.1", 1) == 0


@pytest.mark.usefixtures("counters")
def test_username_is_limited_across_all_addresses() -> None:
    assert sum(allowed_attempts("owner", f"10.0.0.{n}", 10) for n in range(8)) == attempts.NAME_MAX


@pytest.mark.usefixtures("counters")
def test_address_is_limited_across_all_usernames() -> None:
    assert sum(allowed_attempts(f"person-{n}", "10.0.0.1", 1) for n in range(120)) == attempts.ADDRESS_MAX


@pytest.mark.usefixtures("counters")
def test_addresses_of_one_ipv6_network_share_a_limit() -> None:
    assert sum(allowed_attempts("owner", f"2001:db8::{n}", 1) for n in range(12)) == attempts.PAIR_MAX
    assert allowed_attempts("owner", "2001:db8:0:1::1", 1) == 1


@pytest.mark.usefixtures("counters")
def test_successful_login_resets_only_its_own_pair() -> None:
    allowed_attempts("owner", "10.0.0.1", 9)
    attempts.begin("owner", "10.0.0.1").succeed()
    assert allowed_attempts("owner", "10.0.0.1", 12) == 10
    assert allowed_attempts("owner", "10.0.0.2", 40) == 10
    assert sum(allowed_attempts("owner", f"10.0.1.{n}", 10) for n in range(8)) == attempts.NAME_MAX - 29


@pytest.mark.usefixtures("counters")
def test_successful_logins_do_not_count_as_failures() -> None:
    for _ in range(attempts.ADDRESS_MAX + 5):
        attempts.begin("owner", "10.0.0.1").succeed()


@pytest.mark.usefixtures("counters")
def test_ten_of_thirty_concurrent_attempts_are_allowed() -> None:
    barrier = Barrier(30)

    def attempt(_: int) -> int:
        barrier.wait()
        return allowed_attempts("owner", "10.0.0.1", 1)

    with ThreadPoolExecutor(30) as threads:
        assert sum(threads.map(attempt, range(30))) == attempts.PAIR_MAX


def test_counters_expire_after_five_minutes_and_contain_no_names(redis_url: str) -> None:
    allowed_attempts("owner", "10.0.0.1", 2)
    redis = Redis.from_url(redis_url, decode_responses=True)
    keys = redis.keys()
    assert len(keys) == 3  # type: ignore[arg-type]
    for key in keys:  # type: ignore[union-attr]
        assert 0 < redis.ttl(key) <= 300  # type: ignore[operator]
        assert "owner" not in key
        assert "10.0.0.1" not in key


@pytest.mark.usefixtures("counters")
@pytest.mark.parametrize("name", ["", "\0", "\ud800", "x" * 100_000])
def test_any_username_can_be_counted(name: str) -> None:
    assert allowed_attempts(name, "10.0.0.1", 1) == 1

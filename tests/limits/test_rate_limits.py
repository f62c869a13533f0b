"""Token buckets, in Redis and in each process while Redis is down."""

import pytest
from pytest_django.fixtures import Settings

from aiinfra import rate_limits
from aiinfra.rate_limits import Rate, Slots, leave, take
from aiinfra.redis import redis_client

MINUTE_S = 60


@pytest.fixture(params=["redis", "local"])
def _store(request: pytest.FixtureRequest, redis_url: str, settings: Settings) -> None:
    if request.param == "local":
        settings.REDIS_URL = "redis://127.0.0.1:1/0"


@pytest.mark.usefixtures("_store")
def test_a_full_bucket_allows_one_minute_s_requests_at_once() -> None:
    rate = Rate("a", 3)
    assert [take([rate]).left for _ in range(3)] == [(2,), (1,), (0,)]
    taken = take([rate])
    assert taken.refused == rate
    assert 1 <= taken.retry_after_s <= 20


@pytest.mark.usefixtures("_store")
def test_a_refused_request_does_not_count_against_other_limits() -> None:
    small, large = Rate("small", 1), Rate("large", 10)
    take([small, large])
    assert take([small, large]).refused == small
    assert take([large]).left == (8,)


@pytest.mark.usefixtures("_store")
def test_the_limit_with_the_longest_wait_is_reported() -> None:
    slow, fast = Rate("slow", 1), Rate("fast", 60)
    assert take([Rate("fast", 60, cost=60), slow]).refused is None
    taken = take([fast, slow])
    assert (taken.refused, taken.retry_after_s > 30) == (slow, True)


@pytest.mark.usefixtures("_store")
def test_a_cost_above_the_limit_is_allowed_if_the_bucket_is_full() -> None:
    huge = Rate("a", 10, cost=25)
    assert take([huge]).refused is None
    taken = take([Rate("a", 10)])
    assert taken.refused is not None
    assert taken.retry_after_s > MINUTE_S


@pytest.mark.usefixtures("_store")
def test_a_zero_cost_takes_nothing() -> None:
    assert [take([Rate("a", 2, cost=0)]).left for _ in range(3)] == [(2,)] * 3


def test_concurrency_slots_are_released(redis_url: str) -> None:
    slots = [Slots("a", 2)]
    assert [take([Rate("r", 100)], slots, member).refused for member in ("1", "2")] == [None, None]
    assert take([Rate("r", 100)], slots, "3").refused == slots[0]
    assert take([Rate("r", 100, cost=0)]).left == (98,)
    leave(slots, "1")
    assert take([Rate("r", 100)], slots, "3").refused is None


def test_a_slot_that_was_never_released_expires(redis_url: str) -> None:
    redis_client().zadd(f"{rate_limits.PREFIX}a", {"dead": 1})
    assert take([Rate("r", 100)], [Slots("a", 1)], "1").refused is None


def test_all_limits_are_checked_in_one_redis_command(redis_url: str) -> None:
    take([Rate("warm", 1)])
    before = _commands()
    take([Rate("a", 5), Rate("b", 5), Rate("c", 5)], [Slots("d", 5)], "1")
    assert _commands() - before == 1


def _commands() -> int:
    stats: dict[str, dict[str, int]] = redis_client().info("commandstats")  # type: ignore[assignment]
    return stats.get("cmdstat_evalsha", {}).get("calls", 0)


def test_full_buckets_expire_in_redis(redis_url: str) -> None:
    take([Rate("a", 5)])
    assert 0 < int(redis_client().pttl(f"{rate_limits.PREFIX}a")) <= 61_000  # type: ignore[arg-type]


def test_the_number_of_local_buckets_is_limited(
    redis_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(rate_limits, "LOCAL_BUCKETS_MAX", 3)
    for number in range(10):
        take([Rate(f"a{number}", 5)])
    assert len(rate_limits._local._buckets) <= 4

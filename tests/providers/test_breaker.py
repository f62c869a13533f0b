"""The circuit breaker on a real Redis, including concurrent processes."""

import multiprocessing
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from redis import Redis

from aiinfra.providers import breaker
from aiinfra.providers.base import ErrorCode, ProviderError
from aiinfra.providers.breaker import CircuitState
from aiinfra.redis import redis_client
from tests.support.processes import START_LIMIT_S, free_port

PROCESSES = 8
MODEL = ("openai", "gpt-4")


@pytest.fixture(autouse=True)
def quick_breaker(redis_url: str, settings: Settings) -> str:
    """An empty Redis, a threshold of five failures, and an open time longer than the tests."""
    settings.BREAKER_FAILURES = 5
    settings.BREAKER_OPEN_S = 60
    return redis_url


def fail(times: int) -> None:
    for _ in range(times):
        breaker.record_failure(*MODEL)


def end_open_time() -> None:
    """Move the opening into the past in Redis."""
    fields: Any = redis_client().hgetall("aiinfra:breaker:states")
    del fields["open"]
    for name, state in fields.items():
        failures, _, probe, callers = state.split("|")
        redis_client().hset("aiinfra:breaker:states", name, f"{failures}|1|{probe}|{callers}")


def state() -> breaker.BreakerState:
    (only,) = breaker.states()
    return only


def test_circuit_opens_after_five_consecutive_failures() -> None:
    fail(4)
    assert breaker.allow(*MODEL).allowed
    fail(1)
    decision = breaker.allow(*MODEL)
    assert not decision.allowed
    assert 0 < decision.retry_in_s <= 60
    assert (state().state, state().failures) == (CircuitState.OPEN, 5)


def test_success_resets_the_failure_count() -> None:
    fail(4)
    breaker.record_success(*MODEL)
    fail(4)
    assert breaker.allow(*MODEL).allowed


def test_each_model_has_its_own_circuit() -> None:
    fail(5)
    assert breaker.allow("openai", "gpt-4o").allowed
    assert breaker.allow("deepseek", "gpt-4").allowed


def test_successful_probe_closes_the_circuit() -> None:
    fail(5)
    end_open_time()
    assert state().state is CircuitState.HALF_OPEN
    assert breaker.allow(*MODEL).allowed
    second = breaker.allow(*MODEL)
    assert not second.allowed
    assert 0 < second.retry_in_s <= breaker.PROBING_PAUSE_S, (
        "a one-second probe would block all other calls for minutes"
    )
    breaker.record_success(*MODEL)
    assert breaker.allow(*MODEL).allowed
    assert (state().state, state().failures) == (CircuitState.CLOSED, 0)


def test_failed_probe_reopens_the_circuit_immediately() -> None:
    fail(5)
    end_open_time()
    assert breaker.allow(*MODEL).allowed
    breaker.record_failure(*MODEL)
    assert not breaker.allow(*MODEL).allowed
    assert state().state is CircuitState.OPEN


def test_released_probe_goes_to_the_next_call() -> None:
    fail(5)
    end_open_time()
    assert breaker.allow(*MODEL).allowed
    breaker.release_probe(*MODEL)
    assert breaker.allow(*MODEL).allowed
    assert not breaker.allow(*MODEL).allowed


def test_lost_probe_expires() -> None:
    fail(5)
    end_open_time()
    assert breaker.allow(*MODEL).allowed
    redis_client().hset("aiinfra:breaker:states", "/".join(MODEL), "5|1|1")
    assert breaker.allow(*MODEL).allowed


def test_late_results_are_ignored_while_the_circuit_is_open() -> None:
    fail(5)
    before = redis_client().hgetall("aiinfra:breaker:states")
    breaker.record_success(*MODEL)
    breaker.record_failure(*MODEL)
    breaker.release_probe(*MODEL)
    assert redis_client().hgetall("aiinfra:breaker:states") == before


def test_workers_skip_the_breaker_while_all_circuits_are_closed() -> None:
    other = (MODEL[0], "another")
    assert breaker.all_closed().run() is None, "unknown before the first call to `allow`"
    assert breaker.allow(*MODEL).allowed
    assert breaker.all_closed().run() == 1
    for model in (MODEL, other):
        for _ in range(5):
            breaker.record_failure(*model)
    assert breaker.all_closed().run() is None
    end_open_time()
    for model, known in ((MODEL, None), (other, 1)):
        assert breaker.allow(*model).allowed
        breaker.record_success(*model)
        assert breaker.all_closed().run() == known
    assert {each.model for each in breaker.states()} == {MODEL[1], "another"}


def test_every_call_is_allowed_without_redis(settings: Settings) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    fail(9)
    breaker.record_success(*MODEL)
    assert breaker.allow(*MODEL).allowed
    assert breaker.states() == []


def test_states_are_read_in_one_round_trip_and_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker.record_failure("openai", "b/with-slash")
    breaker.record_failure("deepseek", "a")
    trips = []
    execute = redis_client().pipeline().__class__.execute
    monkeypatch.setattr("redis.client.Pipeline.execute", lambda self: trips.append(1) or execute(self))
    assert [(s.provider, s.model) for s in breaker.states()] == [("deepseek", "a"), ("openai", "b/with-slash")]
    assert len(trips) == 1


NORTH, SOUTH, EAST = 1, 2, 3


def test_failures_of_one_organization_do_not_open_a_circuit_that_works_for_another() -> None:
    breaker.record_success(*MODEL, SOUTH)
    for _ in range(20):
        breaker.record_failure(*MODEL, NORTH)
    assert breaker.allow(*MODEL, SOUTH).allowed
    assert breaker.allow(*MODEL, NORTH).allowed
    breaker.record_failure(*MODEL, SOUTH)
    assert not breaker.allow(*MODEL, NORTH).allowed
    assert not breaker.allow(*MODEL, SOUTH).allowed
    assert not breaker.allow(*MODEL, EAST).allowed
    assert (sorted(state().failing), state().holds_all) == ([NORTH, SOUTH], True)


def test_only_active_organization_opens_the_circuit_alone() -> None:
    breaker.record_success(*MODEL, SOUTH)
    long_ago = 1
    redis_client().hset("aiinfra:breaker:states", "/".join(MODEL), f"0|0|0|{SOUTH}:{long_ago}:0")
    for _ in range(5):
        breaker.record_failure(*MODEL, NORTH)
    assert not breaker.allow(*MODEL, NORTH).allowed
    assert (state().failing, state().holds_all) == ((NORTH,), False)


def test_first_call_of_another_organization_is_a_probe() -> None:
    for _ in range(5):
        breaker.record_failure(*MODEL, NORTH)
    assert not breaker.allow(*MODEL, NORTH).allowed
    assert breaker.allow(*MODEL, SOUTH).allowed
    assert 0 < breaker.allow(*MODEL, SOUTH).retry_in_s <= breaker.PROBING_PAUSE_S
    breaker.record_success(*MODEL, SOUTH)
    assert breaker.allow(*MODEL, NORTH).allowed
    assert (state().state, state().failing) == (CircuitState.CLOSED, ())


def test_failures_of_several_organizations_open_the_circuit_for_all() -> None:
    breaker.record_success(*MODEL, SOUTH)
    fail(5)
    assert not breaker.allow(*MODEL, NORTH).allowed
    assert state().holds_all


def test_failed_probe_of_another_organization_blocks_all() -> None:
    for _ in range(5):
        breaker.record_failure(*MODEL, NORTH)
    assert breaker.allow(*MODEL, SOUTH).allowed
    breaker.record_failure(*MODEL, SOUTH)
    assert not breaker.allow(*MODEL, EAST).allowed


def test_state_of_an_earlier_release_is_readable() -> None:
    redis_client().hset("aiinfra:breaker:states", "/".join(MODEL), "4|0|0")
    assert (state().failures, state().failing) == (4, ())
    breaker.record_failure(*MODEL, NORTH)
    assert not breaker.allow(*MODEL, NORTH).allowed


def test_state_keeps_a_bounded_number_of_organizations() -> None:
    for organization_id in range(1, 100):
        breaker.record_success(*MODEL, organization_id)
    value: Any = redis_client().hget("aiinfra:breaker:states", "/".join(MODEL))
    assert value.count(",") == breaker.CALLERS_KEPT - 1


def failure(code: ErrorCode, status: int = 0) -> ProviderError:
    return ProviderError(code, "no", may_be_billed=False, status=status)


@pytest.mark.parametrize(
    ("error", "timeout_s", "counted"),
    [
        (failure(ErrorCode.TIMEOUT), 30, True),
        (failure(ErrorCode.TIMEOUT), 1, False),
        (failure(ErrorCode.TIMEOUT, 408), 60, False),
        (failure(ErrorCode.CONNECTION_ERROR), 1, True),
        (failure(ErrorCode.SERVER_ERROR, 503), 1, True),
        (failure(ErrorCode.SERVER_ERROR, 424), 60, False),
        (failure(ErrorCode.SERVER_ERROR, 200), 60, False),
        *[
            (failure(code), 60, False)
            for code in ErrorCode
            if code not in {ErrorCode.TIMEOUT, ErrorCode.CONNECTION_ERROR, ErrorCode.SERVER_ERROR}
        ],
    ],
)
def test_short_timeouts_and_invalid_requests_do_not_count(
    error: ProviderError, timeout_s: float, counted: bool
) -> None:
    assert breaker.counts(error, timeout_s) is counted


def test_error_that_does_not_count_releases_the_probe() -> None:
    fail(5)
    end_open_time()
    assert breaker.allow(*MODEL, NORTH).allowed
    breaker.record_error(*MODEL, NORTH, failure(ErrorCode.TIMEOUT), timeout_s=1)
    assert breaker.allow(*MODEL, NORTH).allowed
    breaker.record_error(*MODEL, NORTH, failure(ErrorCode.TIMEOUT), timeout_s=60)
    assert not breaker.allow(*MODEL, NORTH).allowed


def _ask(url: str, barrier: Barrier, allowed: str) -> None:
    """Ask for the probe in one of several processes, at the same time as the others."""
    barrier.wait(START_LIMIT_S)  # without a timeout, it would outlive a killed test
    if breaker.allow(*MODEL).allowed:
        Redis.from_url(url).incr(allowed)


def test_only_one_of_eight_processes_gets_the_probe(quick_breaker: str) -> None:
    context = multiprocessing.get_context("fork")
    for attempt in range(5):
        fail(5)
        end_open_time()
        barrier, name = context.Barrier(PROCESSES), f"allowed{attempt}"
        askers = [context.Process(target=_ask, args=(quick_breaker, barrier, name)) for _ in range(PROCESSES)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert [asker.exitcode for asker in askers] == [0] * PROCESSES
        assert redis_client().get(name) == "1"
        breaker.record_failure(*MODEL)

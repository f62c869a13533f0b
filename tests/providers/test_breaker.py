"""The circuit breaker on a real Redis, also between processes."""

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
    """A Redis, five failures, and a pause that no test outlives unless it says so."""
    settings.BREAKER_FAILURES = 5
    settings.BREAKER_OPEN_S = 60
    return redis_url


def fail(times: int) -> None:
    for _ in range(times):
        breaker.record_failure(*MODEL)


def end_the_pause() -> None:
    """Move the opening into the past, as Redis sees it."""
    fields: Any = redis_client().hgetall("aiinfra:breaker:states")
    del fields["open"]
    for name, state in fields.items():
        failures, _, probe, callers = state.split("|")
        redis_client().hset("aiinfra:breaker:states", name, f"{failures}|1|{probe}|{callers}")


def state() -> breaker.BreakerState:
    (only,) = breaker.states()
    return only


def test_it_opens_at_the_fifth_failure_in_a_row() -> None:
    fail(4)
    assert breaker.allow(*MODEL).allowed
    fail(1)
    decision = breaker.allow(*MODEL)
    assert not decision.allowed
    assert 0 < decision.retry_in_s <= 60
    assert (state().state, state().failures) == (CircuitState.OPEN, 5)


def test_a_success_between_failures_starts_the_count_again() -> None:
    fail(4)
    breaker.record_success(*MODEL)
    fail(4)
    assert breaker.allow(*MODEL).allowed


def test_each_model_has_its_own_circuit() -> None:
    fail(5)
    assert breaker.allow("openai", "gpt-4o").allowed
    assert breaker.allow("deepseek", "gpt-4").allowed


def test_a_successful_probe_closes_the_circuit() -> None:
    fail(5)
    end_the_pause()
    assert state().state is CircuitState.HALF_OPEN
    assert breaker.allow(*MODEL).allowed
    second = breaker.allow(*MODEL)
    assert not second.allowed
    assert 0 < second.retry_in_s <= breaker.PROBING_PAUSE_S, "a probe of a second would hold all others up for minutes"
    breaker.record_success(*MODEL)
    assert breaker.allow(*MODEL).allowed
    assert (state().state, state().failures) == (CircuitState.CLOSED, 0)


def test_a_failed_probe_opens_it_again_at_once() -> None:
    fail(5)
    end_the_pause()
    assert breaker.allow(*MODEL).allowed
    breaker.record_failure(*MODEL)
    assert not breaker.allow(*MODEL).allowed
    assert state().state is CircuitState.OPEN


def test_a_released_probe_goes_to_the_next_call() -> None:
    fail(5)
    end_the_pause()
    assert breaker.allow(*MODEL).allowed
    breaker.release_probe(*MODEL)
    assert breaker.allow(*MODEL).allowed
    assert not breaker.allow(*MODEL).allowed


def test_a_lost_probe_expires() -> None:
    fail(5)
    end_the_pause()
    assert breaker.allow(*MODEL).allowed
    redis_client().hset("aiinfra:breaker:states", "/".join(MODEL), "5|1|1")
    assert breaker.allow(*MODEL).allowed


def test_stragglers_change_nothing_while_it_is_open() -> None:
    fail(5)
    before = redis_client().hgetall("aiinfra:breaker:states")
    breaker.record_success(*MODEL)
    breaker.record_failure(*MODEL)
    breaker.release_probe(*MODEL)
    assert redis_client().hgetall("aiinfra:breaker:states") == before


def test_a_worker_need_not_ask_while_every_circuit_is_closed() -> None:
    other = (MODEL[0], "another")
    assert breaker.all_closed().run() is None, "nobody knows before the first question"
    assert breaker.allow(*MODEL).allowed
    assert breaker.all_closed().run() == 1
    for model in (MODEL, other):
        for _ in range(5):
            breaker.record_failure(*model)
    assert breaker.all_closed().run() is None
    end_the_pause()
    for model, known in ((MODEL, None), (other, 1)):
        assert breaker.allow(*model).allowed
        breaker.record_success(*model)
        assert breaker.all_closed().run() == known
    assert {each.model for each in breaker.states()} == {MODEL[1], "another"}


def test_without_redis_every_call_is_allowed(settings: Settings) -> None:
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


def test_one_organization_alone_does_not_close_a_model_that_answers_another() -> None:
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


def test_the_only_caller_opens_it_alone_also_after_the_others_have_left() -> None:
    breaker.record_success(*MODEL, SOUTH)
    long_ago = 1
    redis_client().hset("aiinfra:breaker:states", "/".join(MODEL), f"0|0|0|{SOUTH}:{long_ago}:0")
    for _ in range(5):
        breaker.record_failure(*MODEL, NORTH)
    assert not breaker.allow(*MODEL, NORTH).allowed
    assert (state().failing, state().holds_all) == ((NORTH,), False)


def test_another_organizations_first_call_is_a_probe() -> None:
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


def test_a_failed_probe_of_another_organization_holds_all_back() -> None:
    for _ in range(5):
        breaker.record_failure(*MODEL, NORTH)
    assert breaker.allow(*MODEL, SOUTH).allowed
    breaker.record_failure(*MODEL, SOUTH)
    assert not breaker.allow(*MODEL, EAST).allowed


def test_a_state_of_an_earlier_release_is_understood() -> None:
    redis_client().hset("aiinfra:breaker:states", "/".join(MODEL), "4|0|0")
    assert (state().failures, state().failing) == (4, ())
    breaker.record_failure(*MODEL, NORTH)
    assert not breaker.allow(*MODEL, NORTH).allowed


def test_a_state_remembers_a_bounded_number_of_callers() -> None:
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


def test_an_error_that_does_not_count_frees_the_probe() -> None:
    fail(5)
    end_the_pause()
    assert breaker.allow(*MODEL, NORTH).allowed
    breaker.record_error(*MODEL, NORTH, failure(ErrorCode.TIMEOUT), timeout_s=1)
    assert breaker.allow(*MODEL, NORTH).allowed
    breaker.record_error(*MODEL, NORTH, failure(ErrorCode.TIMEOUT), timeout_s=60)
    assert not breaker.allow(*MODEL, NORTH).allowed


def _ask(url: str, barrier: Barrier, allowed: str) -> None:
    """One of many processes that find the pause over at the same moment."""
    barrier.wait(START_LIMIT_S)  # for ever would outlive a test that was killed
    if breaker.allow(*MODEL).allowed:
        Redis.from_url(url).incr(allowed)


def test_of_eight_processes_exactly_one_is_the_probe(quick_breaker: str) -> None:
    context = multiprocessing.get_context("fork")
    for attempt in range(5):
        fail(5)
        end_the_pause()
        barrier, name = context.Barrier(PROCESSES), f"allowed{attempt}"
        askers = [context.Process(target=_ask, args=(quick_breaker, barrier, name)) for _ in range(PROCESSES)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        assert [asker.exitcode for asker in askers] == [0] * PROCESSES
        assert redis_client().get(name) == "1"
        breaker.record_failure(*MODEL)

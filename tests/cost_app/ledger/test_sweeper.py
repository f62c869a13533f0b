"""The sweeper, which looks up calls with an unknown outcome."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from aiinfra.providers.base import BillState, TokenUsage
from aiinfra.tenants.scope import system_scope
from cost_app.ledger import attempts, sweeper
from cost_app.models import Attempt, AttemptState, LedgerEntry

Open = Callable[..., Attempt]
Answer = tuple[BillState, TokenUsage | None] | Exception
USAGE = TokenUsage(input=10, output=10)


class Provider:
    """Returns the answer that the test sets, and records the calls that it is asked about."""

    def __init__(self) -> None:
        self.answer: Answer = (BillState.CANNOT_SAY, None)
        self.asked: list[UUID] = []

    def bill_of(self, attempt_id: UUID) -> tuple[BillState, TokenUsage | None]:
        self.asked.append(attempt_id)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    provider = Provider()
    monkeypatch.setattr(sweeper, "adapter_for", lambda _name: provider)
    return provider


@pytest.fixture
def overdue(open_attempt: Open) -> Open:
    """Creates dispatched attempts whose deadline has passed."""

    def make(seconds: float = 1, **fields: object) -> Attempt:
        attempt = open_attempt(**fields)
        with system_scope():
            attempts.dispatch(attempt, timedelta(seconds=30))
            Attempt.objects.filter(id=attempt.id).update(deadline_at=timezone.now() - timedelta(seconds=seconds))
        return attempt

    return make


def state_of(attempt: Attempt) -> tuple[str, int, bool]:
    """State, cost, and whether the attempt will be checked again."""
    with system_scope():
        row = Attempt.objects.get(id=attempt.id)
        booked = sum(LedgerEntry.objects.filter(attempt=row).values_list("nano", flat=True))
    assert booked == row.cost_nano
    return row.state, row.cost_nano, row.deadline_at is not None


def test_calls_that_are_not_overdue_or_not_sent_are_unchanged(open_attempt: Open, provider: Provider) -> None:
    reserved, running = open_attempt(), open_attempt()
    with system_scope():
        attempts.dispatch(running, timedelta(seconds=30))
    assert sweeper.sweep_unknown_outcomes() == 0
    assert [state_of(reserved)[0], state_of(running)[0]] == [AttemptState.RESERVED, AttemptState.DISPATCHED]


def test_longest_overdue_calls_are_looked_up_first(
    overdue: Open, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "BATCH", 2)
    seconds_late = (10, 30, 20)
    late = [overdue(each) for each in seconds_late]
    assert sweeper.sweep_unknown_outcomes() == 2
    assert provider.asked == [late[1].id, late[2].id]


def test_provider_that_cannot_say_leaves_the_bound_and_is_asked_once(overdue: Open, provider: Provider) -> None:
    attempt = overdue()
    assert [sweeper.sweep_unknown_outcomes(), sweeper.sweep_unknown_outcomes()] == [1, 0]
    assert state_of(attempt) == (AttemptState.ESTIMATED, attempt.bound_nano, False)


def test_provider_s_bill_replaces_the_bound(overdue: Open, provider: Provider) -> None:
    attempt = overdue()
    provider.answer = (BillState.BILLED, USAGE)
    sweeper.sweep_unknown_outcomes()
    assert state_of(attempt)[:2] == (AttemptState.SETTLED, 1_400 + 2_800)


def test_an_uncharged_call_costs_nothing(overdue: Open, provider: Provider) -> None:
    attempt = overdue()
    provider.answer = (BillState.NOT_BILLED, None)
    sweeper.sweep_unknown_outcomes()
    assert state_of(attempt)[:2] == (AttemptState.RELEASED, 0)


def test_a_billed_call_with_unknown_tokens_is_not_free(overdue: Open, provider: Provider) -> None:
    attempt = overdue()
    provider.answer = (BillState.BILLED, None)
    sweeper.sweep_unknown_outcomes()
    assert state_of(attempt)[:2] == (AttemptState.ESTIMATED, attempt.bound_nano)


@pytest.mark.parametrize("answer", [(BillState.RUNNING, None), ConnectionError("away")])
def test_undecided_calls_are_looked_up_again(overdue: Open, provider: Provider, answer: Answer) -> None:
    attempt = overdue()
    provider.answer = answer
    sweeper.sweep_unknown_outcomes()
    assert state_of(attempt) == (AttemptState.ESTIMATED, attempt.bound_nano, True)
    provider.answer = (BillState.BILLED, USAGE)
    sweeper.sweep_unknown_outcomes()
    assert state_of(attempt)[0] == AttemptState.SETTLED


def test_undecided_calls_do_not_block_others(
    overdue: Open, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "BATCH", 2)
    provider.answer = (BillState.RUNNING, None)
    estimated = [overdue(), overdue()]
    sweeper.sweep_unknown_outcomes()
    with system_scope():
        Attempt.objects.update(deadline_at=timezone.now() - timedelta(seconds=100))
    blocked = overdue()
    provider.asked.clear()
    sweeper.sweep_unknown_outcomes()
    assert set(provider.asked) == {attempt.id for attempt in estimated}
    sweeper.sweep_unknown_outcomes()
    assert blocked.id in provider.asked


def test_an_unresponsive_provider_is_asked_once_per_sweep(overdue: Open, provider: Provider) -> None:
    lost = [overdue() for _ in range(3)]
    provider.answer = TimeoutError("hung")
    assert sweeper.sweep_unknown_outcomes() == 3
    assert len(provider.asked) == 1
    assert {state_of(attempt)[0] for attempt in lost} == {AttemptState.ESTIMATED}


def test_an_unresponsive_provider_does_not_delay_others(
    overdue: Open, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    unresponsive = Provider()
    unresponsive.answer = TimeoutError("hung")
    monkeypatch.setattr(sweeper, "adapter_for", lambda name: unresponsive if name == "openai" else provider)
    overdue(seconds=9, provider="openai", model="gpt-4")
    known = overdue()
    provider.answer = (BillState.BILLED, USAGE)
    sweeper.sweep_unknown_outcomes()
    assert state_of(known)[0] == AttemptState.SETTLED


def test_call_that_cannot_be_swept_does_not_block_others(
    overdue: Open, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "BATCH", 1)
    bad, good = overdue(seconds=9), overdue(seconds=5)
    estimate = sweeper.estimate

    def break_at_one(attempt: Attempt, *rest: str) -> None:
        if attempt.id == bad.id:
            raise ValueError("a broken row")
        estimate(attempt, *rest)

    monkeypatch.setattr(sweeper, "estimate", break_at_one)
    for _ in range(2):
        sweeper.sweep_unknown_outcomes()
    assert provider.asked == [good.id]
    with system_scope():
        assert Attempt.objects.get(id=bad.id).state == AttemptState.DISPATCHED


def test_call_is_overdue_after_its_deadline(overdue: Open, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a call that must wait is not looked up twice at the same time."""
    attempt, now = overdue(), timezone.now()
    with system_scope():
        Attempt.objects.filter(id=attempt.id).update(deadline_at=now)
    monkeypatch.setattr(timezone, "now", lambda: now)
    assert sweeper.sweep_unknown_outcomes() == 0
    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(microseconds=1))
    assert sweeper.sweep_unknown_outcomes() == 1


def test_swept_call_is_recorded_as_lost(overdue: Open, provider: Provider) -> None:
    overdue()
    sweeper.sweep_unknown_outcomes()
    with system_scope():
        assert Attempt.objects.get().error_code == "WORKER_LOST"


@pytest.mark.parametrize("state", [BillState.CANNOT_SAY, BillState.RUNNING])
def test_looking_up_a_call_leaves_others_unchanged(overdue: Open, provider: Provider, state: BillState) -> None:
    running, lost = overdue(seconds=-30), overdue()
    with system_scope():
        deadline_at = Attempt.objects.get(id=running.id).deadline_at
    provider.answer = (state, None)
    sweeper.sweep_unknown_outcomes()
    assert provider.asked == [lost.id]
    with system_scope():
        assert Attempt.objects.get(id=running.id).deadline_at == deadline_at


def test_the_bill_is_stored_with_its_source(overdue: Open, provider: Provider) -> None:
    overdue()
    provider.answer = (BillState.BILLED, USAGE)
    sweeper.sweep_unknown_outcomes()
    with system_scope():
        assert Attempt.objects.get().raw_usage == {"source": "provider lookup"}

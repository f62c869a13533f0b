"""The outcomes of an attempt: settled, estimated, abandoned, or released."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from aiinfra.tenants.models import Organization
from cost_app.ledger import attempt_queries, attempts
from cost_app.models import (
    Attempt,
    AttemptState,
    Budget,
    BudgetWindow,
    LedgerEntry,
    Repricing,
)
from tests.cost_app.ledger.sent_calls import USAGE, Open, ledger, sent

pytestmark = pytest.mark.usefixtures("scoped")


ENDS: dict[str, tuple[Callable[[Attempt], object], list[tuple[str, int, int, bool]]]] = {
    "answered": (lambda attempt: attempts.settle(attempt, USAGE, {}), [("usage", 1, 0, False)]),
    "refused, with usage": (lambda attempt: attempts.settle(attempt, USAGE, {}, "X", "why"), [("usage", 1, 1, False)]),
    "unknown": (lambda attempt: attempts.estimate(attempt, "X", "why"), [("usage", 1, 1, True)]),
    "unknown, then known": (
        lambda attempt: (attempts.estimate(attempt, "X", "why"), attempts.settle(attempt, USAGE, {})),
        [("usage", 1, 1, True), ("adjust", 0, 0, False)],
    ),
    "unknown, then free": (
        lambda attempt: (attempts.estimate(attempt, "X", "why"), attempts.refund(attempt)),
        [("usage", 1, 1, True), ("adjust", 0, 0, False)],
    ),
    "free": (lambda attempt: attempts.release(attempt, "X", "why"), [("failed", 1, 1, False)]),
    "free, then billed": (
        lambda attempt: (attempts.release(attempt, "X", "why"), attempts.settle(attempt, USAGE, {})),
        [("failed", 1, 1, False), ("usage", 0, 0, False)],
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_sent_call_counts_once_for_any_outcome(open_attempt: Open, end: str) -> None:
    for _ in range(2):  # the second run has the entries of the first
        attempt = sent(open_attempt(max_tokens=200))
        ends, rows = ENDS[end]
        ends(attempt)
        ends(attempt)
        entries = LedgerEntry.objects.filter(attempt=attempt).order_by("id")
        assert list(entries.values_list("kind", "calls", "errors", "estimated")) == rows
        assert [entry.latency_ms is not None for entry in entries] == [
            row[:1] == ("usage",) and not row[3] and row[1] for row in rows
        ]
        row = Attempt.objects.get(id=attempt.id)
        assert (row.error_code, row.error_message) == (("", "") if end == "answered" else ("X", "why"))
        assert row.finished_at and row.cost_nano == sum(entry.nano for entry in entries)


def test_a_billed_but_unsent_call_counts_once(open_attempt: Open) -> None:
    """Its worker was presumed dead before it sent the call, and sent it later."""
    attempts.release(sent(open_attempt()), "X")
    attempt = open_attempt(max_tokens=200)
    attempts.release(attempt)
    assert not LedgerEntry.objects.filter(attempt=attempt).exists()
    attempts.settle(attempt, USAGE, {})
    assert [(row.kind, row.calls) for row in LedgerEntry.objects.filter(attempt=attempt)] == [("usage", 1)]


def test_estimate_is_checked_again_later(open_attempt: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt, now = sent(open_attempt()), timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    attempts.estimate(attempt)
    row = Attempt.objects.get()
    assert (row.deadline_at, row.finished_at) == (now + attempts.DEADLINE_GRACE, now)


def test_call_keeps_its_first_end_time(open_attempt: Open) -> None:
    attempt = sent(open_attempt())
    attempts.estimate(attempt)
    first = Attempt.objects.get().finished_at
    attempts.settle(attempt, USAGE, {"total": 7})
    row = Attempt.objects.get()
    assert (row.finished_at, row.raw_usage) == (first, {"total": 7})


def test_sent_attempt_cannot_be_withdrawn_and_is_abandoned_at_its_bound(
    open_attempt: Open, organization: Organization
) -> None:
    Budget.objects.create(organization=organization, period="daily", limit_nano=10**9, enforcement="block")
    attempts.release(open_attempt())
    without_request = open_attempt()
    reserved, dispatched, settled = (open_attempt(request_id=uuid4(), max_tokens=200) for _ in range(3))
    attempts.settle(sent(settled), USAGE, {})
    sent(dispatched)
    assert sorted(attempt_queries.reserved_requests()) == [reserved.request_id]
    for each in (dispatched, settled):
        assert not attempts.withdraw(each.request_id, 1, "CANCELLED")
        assert Attempt.objects.get(id=each.id).error_code == ""
    for each in (reserved, dispatched, settled):
        attempts.abandon(each.request_id, 1, "WORKER_LOST")
    rows = [Attempt.objects.get(id=each.id) for each in (reserved, dispatched, settled)]
    assert [(row.state, row.cost_nano, row.error_code) for row in rows] == [
        ("released", 0, "WORKER_LOST"),
        ("estimated", dispatched.bound_nano, "WORKER_LOST"),
        ("settled", 56_000, ""),
    ]
    assert attempt_queries.reserved_requests() == []
    window = BudgetWindow.objects.get()
    assert window.committed_nano == dispatched.bound_nano + 56_000
    assert window.reserved_nano == without_request.bound_nano


def test_released_attempt_books_nothing_but_a_late_charge_is_booked(open_attempt: Open) -> None:
    attempt = open_attempt(max_tokens=200)
    attempts.release(attempt, "RATE_LIMITED", "slow down")
    assert (ledger(), Attempt.objects.get().error_code) == ([], "RATE_LIMITED")
    assert Attempt.objects.get().state == AttemptState.RELEASED
    assert not attempts.dispatch(attempt, timedelta(seconds=30))
    attempts.settle(attempt, USAGE, {})
    assert sum(nano for _, nano in ledger()) == 56_000


def test_caller_sees_the_new_cost_and_error_only_if_its_step_was_taken(open_attempt: Open) -> None:
    attempt = sent(open_attempt(max_tokens=200))
    outdated = Attempt.objects.get(id=attempt.id)
    attempts.settle(attempt, USAGE, {}, "X", "why")
    assert (attempt.cost_nano, attempt.error_code) == (56_000, "X")
    attempts.estimate(outdated, "TIMEOUT")
    assert (outdated.cost_nano, outdated.error_code) == (0, "")


def test_current_attempt_is_found_by_request_and_number(open_attempt: Open) -> None:
    first, second = uuid4(), uuid4()
    opened = {
        (each, number): open_attempt(request_id=each, number=number) for each in (first, second) for number in (1, 2)
    }
    for (request_id, number), attempt in opened.items():
        assert attempts.current_attempt(request_id, number) == attempt
    with pytest.raises(Attempt.DoesNotExist, match=f"{first} has no attempt 3"):
        attempts.current_attempt(first, 3)


@pytest.mark.parametrize(
    ("end", "is_repriced"),
    [
        (lambda _: None, False),
        (lambda attempt: attempts.release(attempt), False),
        (lambda attempt: attempts.estimate(attempt), True),
        (lambda attempt: attempts.settle(attempt, USAGE, {}), True),
    ],
    ids=["sent", "released", "estimated", "settled"],
)
def test_only_booked_calls_are_repriced(
    open_attempt: Open, end: Callable[[Attempt], object], is_repriced: bool
) -> None:
    end(sent(open_attempt(max_tokens=200)))
    attempt, now = Attempt.objects.get(), timezone.now()
    run = Repricing.objects.create(provider="deepseek", starts_at=now, ends_at=now, by="user:x", reason="x")
    assert attempt.price
    before = attempt.cost_nano
    assert attempts.reprice(attempt, 60_000, run, attempt.price, "tier_unpriced") is is_repriced
    row = Attempt.objects.get()
    assert (row.cost_nano, row.usage_issue) == ((60_000, "tier_unpriced") if is_repriced else (before, ""))
    assert sum(nano for _, nano in ledger()) == row.cost_nano

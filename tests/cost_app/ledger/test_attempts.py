"""The steps of an attempt by example; test_attempts_model.py takes them in any order."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.ledger import attempts
from cost_app.models import Attempt, AttemptState, LedgerEntry, LedgerKind

Open = Callable[..., Attempt]
USAGE = TokenUsage(input=100, output=150, reasoning=50)
pytestmark = pytest.mark.usefixtures("scoped")


@pytest.fixture
def scoped(organization: Organization) -> object:
    with organization_scope(organization.pk):
        yield


def sent(attempt: Attempt) -> Attempt:
    assert attempts.dispatch(attempt, timedelta(seconds=30))
    return Attempt.objects.get(id=attempt.id)


def ledger() -> list[tuple[str, int]]:
    return list(LedgerEntry.objects.order_by("id").values_list("kind", "nano"))


def test_an_attempt_starts_with_its_bound_and_books_nothing(open_attempt: Open) -> None:
    attempt = open_attempt()
    assert (attempt.state, attempt.cost_nano) == (AttemptState.RESERVED, 0)
    assert attempt.bound_nano == 140 * (len("How do I plan a garden?") + len("user") + 16) + 280 * 100
    assert ledger() == []


def test_a_dispatched_attempt_has_a_deadline_after_the_calls_own(open_attempt: Open) -> None:
    attempt = sent(open_attempt())
    assert attempt.dispatched_at and attempt.deadline_at
    assert attempt.deadline_at - attempt.dispatched_at == timedelta(seconds=30) + attempts.DEADLINE_GRACE


def test_an_attempt_is_dispatched_once(open_attempt: Open) -> None:
    attempt = sent(open_attempt())
    assert not attempts.dispatch(attempt, timedelta(seconds=30))


def test_settling_books_the_tokens_and_the_labels(open_attempt: Open, organization: Organization) -> None:
    request_id = uuid4()
    attempt = sent(open_attempt(max_tokens=200, request_id=request_id, user_ref="ann", tags=["team-a"]))
    attempts.settle(attempt, USAGE, {"prompt_tokens": 100})
    entry, row = LedgerEntry.objects.get(), Attempt.objects.get()
    assert (entry.kind, entry.nano, entry.estimated) == (LedgerKind.USAGE, row.cost_nano, False)
    assert (entry.organization_id, entry.request_id, entry.user_ref, entry.tags) == (
        organization.pk,
        request_id,
        "ann",
        ["team-a"],
    )
    for booked in (entry, row):
        assert (booked.input_tokens, booked.output_tokens, booked.reasoning_tokens) == (100, 150, 50)
    assert row.finished_at is not None


def test_an_estimate_is_corrected_by_the_difference(open_attempt: Open) -> None:
    attempt = sent(open_attempt())
    attempts.estimate(attempt, "TIMEOUT", "too slow")
    assert LedgerEntry.objects.get().estimated
    attempts.settle(attempt, TokenUsage(input=10, output=10), {})
    assert ledger() == [("usage", attempt.bound_nano), ("adjust", 4_200 - attempt.bound_nano)]
    row = Attempt.objects.get()
    assert (row.state, row.error_code, row.input_tokens) == (AttemptState.SETTLED, "TIMEOUT", 10)


@pytest.mark.parametrize("estimated", [False, True])
def test_what_exceeds_the_bound_is_an_overrun(open_attempt: Open, estimated: bool) -> None:
    attempt = sent(open_attempt())
    if estimated:
        attempts.estimate(attempt)
    attempts.settle(attempt, TokenUsage(output=10_000), {})
    rows = dict(ledger())
    assert rows["overrun"] == 2_800_000 - attempt.bound_nano
    assert rows["usage"] == attempt.bound_nano
    assert rows.get("adjust", 0) == 0
    assert sum(rows.values()) == Attempt.objects.get().cost_nano == 2_800_000


def test_a_charge_after_an_estimate_was_taken_back_is_booked(open_attempt: Open) -> None:
    attempt = sent(open_attempt())
    attempts.estimate(attempt)
    attempts.refund(attempt)
    attempts.refund(attempt)
    assert sum(nano for _, nano in ledger()) == 0
    attempts.settle(attempt, USAGE, {})
    assert sum(nano for _, nano in ledger()) == 56_000
    assert sum(LedgerEntry.objects.values_list("output_tokens", flat=True)) == 150


def test_a_released_attempt_books_nothing_and_a_late_charge_is_booked(open_attempt: Open) -> None:
    attempt = open_attempt(max_tokens=200)
    attempts.release(attempt, "RATE_LIMITED", "slow down")
    assert (ledger(), Attempt.objects.get().error_code) == ([], "RATE_LIMITED")
    attempts.settle(attempt, USAGE, {})
    assert sum(nano for _, nano in ledger()) == 56_000


def test_settling_is_one_transaction(open_attempt: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = sent(open_attempt())

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("killed between the attempt and the ledger")

    with monkeypatch.context() as patched:
        patched.setattr(attempts, "_book", die)
        with pytest.raises(RuntimeError), transaction.atomic():
            attempts.settle(attempt, USAGE, {})
    assert Attempt.objects.get().state == AttemptState.DISPATCHED


def test_no_attempt_has_two_entries_of_one_kind(open_attempt: Open) -> None:
    attempt = sent(open_attempt())
    attempts.settle(attempt, USAGE, {})
    with pytest.raises(IntegrityError), transaction.atomic():
        attempts._book(attempt, LedgerKind.USAGE, 1, USAGE)


@pytest.mark.parametrize("statement", ["UPDATE cost_app_ledgerentry SET nano = 0", "DELETE FROM cost_app_ledgerentry"])
def test_the_database_itself_refuses_to_change_the_ledger(open_attempt: Open, statement: str) -> None:
    attempts.settle(sent(open_attempt(max_tokens=200)), USAGE, {})
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert LedgerEntry.objects.get().nano > 0


def test_attempts_of_requests_come_in_order(open_attempt: Open) -> None:
    request_id = uuid4()
    second, first = open_attempt(request_id=request_id, number=2), open_attempt(request_id=request_id)
    open_attempt(request_id=uuid4())
    assert attempts.attempts_of([request_id]) == [first, second]


def test_a_request_has_each_number_once(open_attempt: Open) -> None:
    request_id = uuid4()
    open_attempt(request_id=request_id)
    with pytest.raises(IntegrityError), transaction.atomic():
        open_attempt(request_id=request_id)


def test_the_attempt_is_what_the_adapter_takes(open_attempt: Open) -> None:
    attempt = open_attempt()
    sent = attempt.as_sent
    assert (sent.id, sent.organization_id, sent.provider, sent.model) == (
        attempt.id,
        attempt.organization_id,
        "deepseek",
        "deepseek-chat",
    )

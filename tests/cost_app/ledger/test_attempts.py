"""The steps of an attempt by example; test_attempts_model.py runs them in any order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from cost_app.ledger import attempt_queries, attempts
from cost_app.ledger.reconciliation import disagreements
from cost_app.models import (
    Attempt,
    AttemptState,
    Budget,
    BudgetWindow,
    Hold,
    LedgerEntry,
    LedgerKind,
    Repricing,
)
from cost_app.prices.lookup import ModelNotPricedError
from cost_app.prices.proposals import add_version
from cost_app.prices.terms import PriceTerms
from cost_app.recommendations.classes import fingerprints
from tests.cost_app.ledger.sent_calls import USAGE, Open, ledger, sent

NOW = timezone.now()
pytestmark = pytest.mark.usefixtures("scoped")


def test_an_attempt_starts_with_its_bound_and_books_nothing(open_attempt: Open) -> None:
    attempt = open_attempt()
    assert (attempt.state, attempt.cost_nano) == (AttemptState.RESERVED, 0)
    assert attempt.bound_nano == 140 * (len("How do I plan a garden?") + len("user") + 16) + 280 * 100
    assert ledger() == []


def test_dispatched_attempt_has_a_deadline_after_the_call_s_timeout(open_attempt: Open) -> None:
    attempt = sent(open_attempt())
    assert attempt.dispatched_at and attempt.deadline_at
    assert attempt.deadline_at - attempt.dispatched_at == timedelta(seconds=30) + attempts.DEADLINE_GRACE


def test_attempt_has_the_fields_of_its_order(open_attempt: Open, organization: Organization) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.OPERATOR, actor="command:test")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    ordered = {
        "organization_id": organization.pk,
        "provider": "deepseek",
        "model": "deepseek-chat",
        "max_tokens": 77,
        "request_id": uuid4(),
        "number": 3,
        "api_key_id": key.pk,
        "user_ref": "ann",
        "tags": ["red"],
        "priority": 500,
        "request_class": "creative",
    }
    open_attempt(messages=messages, **ordered)
    row = Attempt.objects.select_related("price").get()
    assert {name: getattr(row, name) for name in ordered} == ordered
    digests = fingerprints("deepseek", "deepseek-chat", messages)
    assert (row.prompt_digest, row.prefix_digest, row.prefix_bytes) == digests
    assert row.price and row.price.model == "deepseek-chat"


PEAK_TERMS = PriceTerms("local", "m", 5_000_000, 5_000_000, 5_000_000, 5_000_000, source="a test")


def test_call_is_priced_when_it_is_sent_not_when_it_is_admitted(
    open_attempt: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Admitted at the standard price, sent during peak hours, settled after them."""
    moment = datetime(2026, 3, 10, 8, 59, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: moment)
    plain = replace(PEAK_TERMS, input=1_000_000, output=1_000_000)
    window = [{"weekdays": [1], "from": "09:00", "to": "10:00"}]
    for terms in (plain, replace(PEAK_TERMS, window_name="peak", window=window)):
        add_version(terms=terms, effective_from=moment - timedelta(days=9), actor="user:staff")
    attempt = open_attempt(provider="local", model="m", max_tokens=300)
    assert attempt.price and attempt.price.input == 1_000_000
    moment += timedelta(minutes=1)
    assert attempts.dispatch(attempt, timedelta(seconds=30))
    moment += timedelta(hours=2)
    row = Attempt.objects.select_related("price").get()
    assert row.price and attempt.price == row.price
    assert (row.price.input, row.dispatched_at) == (5_000_000, moment - timedelta(hours=2))
    attempts.settle(row, USAGE, {})
    assert Attempt.objects.get().cost_nano == 5 * 250
    assert sum(nano for _, nano in ledger()) == 5 * 250 <= attempt.bound_nano


def test_model_whose_price_ended_keeps_the_price_at_admission(
    open_attempt: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = open_attempt()
    price = attempt.price

    def unpriced(*_: object) -> None:
        raise ModelNotPricedError

    monkeypatch.setattr(attempts, "price_of", unpriced)
    assert sent(attempt).price == price is not None


def test_attempt_admitted_without_a_price_gets_none_when_it_is_sent(open_attempt: Open) -> None:
    """It was admitted without a bound, so only repricing may give it a cost."""
    attempt = open_attempt()
    Attempt.objects.update(price=None, bound_nano=0)
    assert sent(Attempt.objects.get(id=attempt.id)).price is None


def test_attempt_is_dispatched_once(open_attempt: Open) -> None:
    attempt = sent(open_attempt())
    assert not attempts.dispatch(attempt, timedelta(seconds=30))


def test_settling_books_tokens_and_labels(open_attempt: Open, organization: Organization) -> None:
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
def test_cost_above_the_bound_is_booked_as_overrun(open_attempt: Open, estimated: bool) -> None:
    attempt = sent(open_attempt())
    if estimated:
        attempts.estimate(attempt)
    attempts.settle(attempt, TokenUsage(output=10_000), {})
    rows = dict(ledger())
    assert rows["overrun"] == 2_800_000 - attempt.bound_nano
    assert rows["usage"] == attempt.bound_nano
    assert rows.get("adjust", 0) == 0
    assert sum(rows.values()) == Attempt.objects.get().cost_nano == 2_800_000


def test_a_charge_after_a_refund_is_booked(open_attempt: Open) -> None:
    attempt = sent(open_attempt())
    attempts.estimate(attempt)
    attempts.refund(attempt)
    attempts.refund(attempt)
    assert sum(nano for _, nano in ledger()) == 0
    attempts.settle(attempt, USAGE, {})
    assert sum(nano for _, nano in ledger()) == 56_000
    assert sum(LedgerEntry.objects.values_list("output_tokens", flat=True)) == 150


def test_bill_after_a_refund_releases_the_hold(open_attempt: Open, organization: Organization) -> None:
    """The budget counts the final amount, and nothing stays held."""
    budget = Budget.objects.create(organization=organization, period="daily", limit_nano=10**9, enforcement="block")
    attempt = sent(open_attempt(max_tokens=200))
    seen = []
    steps: list[Callable[[], object]] = [
        lambda: attempts.estimate(attempt),
        lambda: attempts.refund(attempt),
        lambda: attempts.settle(attempt, USAGE, {}),
        lambda: attempts.settle(attempt, USAGE, {}),
    ]
    for step in steps:
        step()
        window, hold = BudgetWindow.objects.get(budget=budget), Hold.objects.get(attempt=attempt)
        assert (window.committed_nano, window.reserved_nano) == (hold.committed_nano, hold.reserved_nano)
        seen.append((window.committed_nano, window.reserved_nano))
    assert seen == [(attempt.bound_nano, 0), (0, 0), (56_000, 0), (56_000, 0)]
    assert ledger() == [("usage", attempt.bound_nano), ("adjust", -attempt.bound_nano), ("overrun", 56_000)]
    assert list(disagreements()) == []


def test_clock_moved_back_during_a_call_does_not_prevent_its_booking(
    open_attempt: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = sent(open_attempt(max_tokens=200))
    before = timezone.now() - timedelta(minutes=1)
    monkeypatch.setattr(timezone, "now", lambda: before)
    attempts.settle(attempt, USAGE, {})
    assert LedgerEntry.objects.get().latency_ms == 0


def test_concurrent_corrections_of_the_same_cost_are_booked_once(open_attempt: Open) -> None:
    attempt, similar = sent(open_attempt(max_tokens=200)), sent(open_attempt(max_tokens=200))
    for each in (attempt, similar):
        attempts.settle(each, USAGE, {})
    first, second = (Attempt.objects.select_related("price").get(id=attempt.id) for _ in range(2))
    price = first.price
    assert price
    runs = [
        Repricing.objects.create(provider="deepseek", starts_at=NOW, ends_at=NOW, by="user:x", reason="x")
        for _ in range(3)
    ]
    assert attempts.reprice(first, 60_000, runs[0], price)
    assert not attempts.reprice(second, 60_000, runs[1], price), "it is based on an outdated cost"
    assert not attempts.reprice(Attempt.objects.get(id=attempt.id), 70_000, runs[0], price), (
        "a run corrects a call only once"
    )
    assert ledger() == [("usage", 56_000), ("usage", 56_000), ("adjust", 4_000)]
    assert attempts.reprice(Attempt.objects.get(id=similar.id), 60_000, runs[0], price), "the run continues with others"
    assert attempts.reprice(Attempt.objects.get(id=attempt.id), 50_000, runs[2], price)
    assert sum(nano for _, nano in ledger()) == 50_000 + 60_000
    assert [Attempt.objects.get(id=each.id).cost_nano for each in (attempt, similar)] == [50_000, 60_000]


def test_settling_is_one_transaction(open_attempt: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = sent(open_attempt())

    def die(*_: object, **__: object) -> None:
        raise RuntimeError("killed between the attempt and the ledger")

    with monkeypatch.context() as patched:
        patched.setattr(attempts, "_book", die)
        with pytest.raises(RuntimeError), transaction.atomic():
            attempts.settle(attempt, USAGE, {})
    assert Attempt.objects.get().state == AttemptState.DISPATCHED


def test_an_attempt_has_at_most_one_entry_per_kind(open_attempt: Open) -> None:
    attempt = sent(open_attempt())
    attempts.settle(attempt, USAGE, {})
    with pytest.raises(IntegrityError), transaction.atomic():
        attempts._book(attempt, LedgerKind.USAGE, 1, USAGE)


@pytest.mark.parametrize("statement", ["UPDATE cost_app_ledgerentry SET nano = 0", "DELETE FROM cost_app_ledgerentry"])
def test_database_rejects_changes_to_the_ledger(open_attempt: Open, statement: str) -> None:
    attempts.settle(sent(open_attempt(max_tokens=200)), USAGE, {})
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert LedgerEntry.objects.get().nano > 0


def test_attempts_of_requests_are_ordered(open_attempt: Open) -> None:
    request_id = uuid4()
    second, first = open_attempt(request_id=request_id, number=2), open_attempt(request_id=request_id)
    open_attempt(request_id=uuid4())
    assert attempt_queries.attempts_of([request_id]) == [first, second]


def test_attempt_number_is_unique_per_request(open_attempt: Open) -> None:
    request_id = uuid4()
    open_attempt(request_id=request_id)
    with pytest.raises(IntegrityError), transaction.atomic():
        open_attempt(request_id=request_id)


def test_an_attempt_can_be_passed_to_an_adapter(open_attempt: Open) -> None:
    attempt = open_attempt()
    sent = attempt.as_sent
    assert (sent.id, sent.organization_id, sent.provider, sent.model) == (
        attempt.id,
        attempt.organization_id,
        "deepseek",
        "deepseek-chat",
    )

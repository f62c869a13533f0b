"""Reported usage of calls made outside aiinfra."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from cost_app.ledger import attempts
from cost_app.ledger.reconciliation import disagreements
from cost_app.ledger.rollups import fold
from cost_app.ledger.tracking import ReportedTooLateError
from cost_app.models import (
    Attempt,
    Budget,
    BudgetWindow,
    CostPolicy,
    Hold,
    LedgerEntry,
    ProviderBilling,
    Repricing,
    UsageDay,
)
from cost_app.prices.lookup import ModelNotPricedError
from cost_app.prices.proposals import add_version
from cost_app.prices.terms import PriceTerms
from tests.cost_app.ledger.tracked import COST, USAGE, Track

pytestmark = pytest.mark.usefixtures("scoped")


def test_a_reported_call_counts_in_ledger_rollups_and_budgets(track: Track, organization: Organization) -> None:
    Budget.objects.create(organization=organization, period="daily", limit_nano=1, enforcement="block")
    track(user_ref="ada", tags=["red"], latency_ms=2400, priority=100)
    fold()
    (entry,) = LedgerEntry.objects.all()
    assert (entry.kind, entry.nano, entry.calls, entry.errors, entry.latency_ms) == ("external", COST, 1, 0, 2400)
    assert BudgetWindow.objects.get().committed_nano == COST
    assert UsageDay.objects.get(dimension="user").nano == COST
    assert list(disagreements()) == []


def test_a_cached_answer_is_free_and_counts_as_savings(track: Track) -> None:
    track(cached=True)
    fold()
    total = UsageDay.objects.get(dimension="total")
    assert (total.nano, total.saved_nano, total.cache_hits, total.calls) == (0, COST, 1, 1)
    assert list(disagreements()) == []


def test_earlier_call_is_booked_on_its_day_and_in_its_window_only(track: Track, organization: Organization) -> None:
    Budget.objects.create(organization=organization, period="daily", limit_nano=10**9)
    track()
    before = timezone.now() - timedelta(days=7)
    track(at=before)
    fold()
    assert BudgetWindow.objects.get().committed_nano == COST
    assert UsageDay.objects.filter(dimension="total").count() == 2
    assert list(disagreements()) == []


@pytest.mark.parametrize(
    ("ago", "refusal"),
    [
        (timedelta(days=31), ""),
        (timedelta(days=31, microseconds=1), "within 31 days"),
        (timedelta(minutes=-5), ""),
        (timedelta(minutes=-5, microseconds=-1), "in the future"),
    ],
)
def test_call_can_be_reported_for_31_days_and_up_to_5_minutes_ahead(
    track: Track, monkeypatch: pytest.MonkeyPatch, ago: timedelta, refusal: str
) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    if refusal:
        with pytest.raises(ReportedTooLateError, match=refusal):
            track(at=now - ago)
    else:
        track(at=now - ago)
    assert LedgerEntry.objects.count() == (not refusal)


def test_all_reported_fields_are_stored(track: Track, organization: Organization) -> None:
    at = timezone.now() - timedelta(days=2)
    usage = TokenUsage(input=1, cache_read=2, cache_write=3, output=50, reasoning=5)
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.OPERATOR, actor="command:test")
    reported = {"user_ref": "ada", "tags": ["red", "blue"], "priority": 500, "api_key_id": key.pk}
    track(usage, latency_ms=7, external_id="x-1", success=False, at=at, **reported)
    attempt, entry = Attempt.objects.get(), LedgerEntry.objects.get()
    for row in (attempt, entry):
        assert {name: getattr(row, name) for name in reported} == reported
        assert (row.organization_id, row.provider, row.model) == (organization.pk, "deepseek", "deepseek-chat")
        assert (row.input_tokens, row.cache_read_tokens, row.cache_write_tokens) == (1, 2, 3)
        assert (row.output_tokens, row.reasoning_tokens) == (50, 5)
    assert (attempt.state, attempt.error_code, attempt.external_id) == ("settled", "REPORTED", "x-1")
    assert (attempt.created_at, attempt.finished_at, entry.at) == (at, at, at)
    assert attempt.cost_nano == attempt.bound_nano == entry.nano > 0
    assert (entry.attempt_id, entry.latency_ms, entry.errors, entry.saved_nano) == (attempt.id, 7, 1, 0)


def test_unreported_fields_stay_unknown(track: Track) -> None:
    track()
    attempt, entry = Attempt.objects.get(), LedgerEntry.objects.get()
    assert (entry.latency_ms, entry.api_key_id, entry.priority, entry.user_ref, entry.tags) == (
        None,
        None,
        None,
        "",
        [],
    )
    assert (attempt.error_code, attempt.external_id) == ("", None)


@pytest.mark.parametrize("cached", [False, True])
def test_cached_response_uses_no_budget(track: Track, organization: Organization, cached: bool) -> None:
    Budget.objects.create(organization=organization, period="daily", limit_nano=10**9)
    track()
    track(cached=cached)
    assert BudgetWindow.objects.get().committed_nano == (COST if cached else 2 * COST)
    assert Hold.objects.count() == (1 if cached else 2)


def test_report_at_the_start_of_a_window_counts(
    track: Track, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    Budget.objects.create(organization=organization, period="daily", limit_nano=10**9)
    track()
    window = BudgetWindow.objects.get()
    monkeypatch.setattr(timezone, "now", lambda: window.starts_at + timedelta(hours=1))
    track(at=window.starts_at)
    track(at=window.starts_at - timedelta(microseconds=1))
    window.refresh_from_db()
    assert window.committed_nano == 2 * COST


def test_report_at_the_end_of_a_window_counts_only_in_the_next_one(track: Track, organization: Organization) -> None:
    budget = Budget.objects.create(organization=organization, period="daily", limit_nano=10**9)
    track()
    window = BudgetWindow.objects.get()
    terms = {"organization": organization, "budget": budget, "limit_nano": 10**9, "enforcement": "none"}
    earlier = BudgetWindow.objects.create(
        **terms, starts_at=window.starts_at - timedelta(days=1), ends_at=window.starts_at
    )
    track(at=window.starts_at)
    for each in (window, earlier):
        each.refresh_from_db()
    assert (window.committed_nano, earlier.committed_nano) == (2 * COST, 0)


def test_correcting_a_report_changes_its_windows_by_the_difference(track: Track, organization: Organization) -> None:
    for period in ("daily", "weekly"):
        Budget.objects.create(organization=organization, period=period, limit_nano=10**9)
    attempt, now = track(), timezone.now()
    run = Repricing.objects.create(provider="deepseek", starts_at=now, ends_at=now, by="user:x", reason="x")
    assert attempt.price
    assert attempts.reprice(attempt, 70_000, run, attempt.price)
    assert set(BudgetWindow.objects.values_list("committed_nano", "reserved_nano")) == {(70_000, 0)}
    assert list(disagreements()) == []


@pytest.mark.parametrize(
    ("tier", "nano", "issue"),
    [("standard", COST, ""), ("batch", COST // 2, ""), ("flex", COST, "tier_unpriced")],
)
def test_reported_tier_uses_its_price_or_the_standard_price(track: Track, tier: str, nano: int, issue: str) -> None:
    add_batch_price("deepseek-chat")
    attempt = track(replace(USAGE, tier=tier))
    assert (attempt.cost_nano, attempt.usage_issue) == (nano, issue)
    assert LedgerEntry.objects.get().tier == tier


def test_a_model_with_only_a_batch_price_is_priced(track: Track) -> None:
    add_batch_price("batch-only")
    assert track(replace(USAGE, tier="batch"), model="batch-only").cost_nano == COST // 2
    with pytest.raises(ModelNotPricedError):
        track(model="batch-only")


def test_an_earlier_call_is_booked_at_the_price_of_its_time(track: Track) -> None:
    now = timezone.now()
    for dollars, days in ((1, 20), (3, 5)):
        terms = PriceTerms("deepseek", "changed", *[dollars * 1_000_000] * 4, source="a test")
        add_version(terms=terms, effective_from=now - timedelta(days=days), actor="user:staff")
    before, after = track(model="changed", at=now - timedelta(days=9)), track(model="changed")
    assert (before.cost_nano, after.cost_nano) == (250, 750)
    assert before.price and after.price
    assert (before.price.input, after.price.input) == (1_000_000, 3_000_000)


def add_batch_price(model: str) -> None:
    terms = PriceTerms("deepseek", model, *[70_000_000] * 3, output=140_000_000, source="a test", tier="batch")
    add_version(terms=terms, effective_from=timezone.now() - timedelta(days=1), actor="user:staff")


def test_a_reported_cost_is_stored_and_booked_if_configured(track: Track) -> None:
    reported = replace(USAGE, reported_nano=70_000)
    assert track(reported).cost_nano == COST
    ProviderBilling.objects.create(provider="deepseek", booked_cost="reported")
    assert track(reported).cost_nano == 70_000
    assert set(LedgerEntry.objects.values_list("nano", "reported_nano")) == {(COST, 70_000), (70_000, 70_000)}
    assert set(Attempt.objects.values_list("usage_issue", flat=True)) == {"cost_differs"}


def test_a_failed_call_is_an_error(track: Track) -> None:
    track(success=False)
    assert LedgerEntry.objects.get().errors == 1


def test_an_unpriced_model_is_refused_or_booked_at_zero(track: Track, organization: Organization) -> None:
    with pytest.raises(ModelNotPricedError):
        track(model="nothing")
    CostPolicy.objects.create(organization=organization, unpriced_models="warn")
    attempt = track(model="nothing")
    assert (attempt.price, LedgerEntry.objects.get().nano) == (None, 0)

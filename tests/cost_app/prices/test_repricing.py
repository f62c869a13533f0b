"""Repricing of a period: the preview and its ledger adjustments."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.ledger.tracking import TrackedCall, track_request
from cost_app.models import (
    AttemptState,
    LedgerEntry,
    LedgerKind,
    ProviderBilling,
    Repricing,
    ToolFee,
)
from cost_app.prices import repricing
from cost_app.prices.proposals import add_version
from cost_app.prices.repricing import OrganizationDifference, Period, count_calls, difference, reprice
from cost_app.prices.terms import PriceTerms
from tests.cost_app.prices.repricing import DAY, NOW, Call, ledger_sum, price

LAST_WEEK = Period("local", "m", NOW - 7 * DAY, NOW)


def figures(row: OrganizationDifference) -> tuple[str, int, int, int, int, int]:
    slug = row.organization.slug
    return slug, row.attempts, row.changed, row.now_priced, row.booked_nano, row.new_nano


def correct(period: Period = LAST_WEEK) -> Repricing | None:
    return reprice(period=period, actor="user:staff", reason="the list was wrong")


def test_difference_is_shown_by_organization_without_writing(
    call: Call, organization: Organization, other_organization: Organization
) -> None:
    price(1, days=-30)
    for _ in range(2):
        call()
    call(organization=other_organization)
    price(3, days=-8)
    rows = difference(LAST_WEEK)
    assert list(map(figures, rows)) == [("north", 2, 2, 0, 2_200, 6_600), ("south", 1, 1, 0, 1_100, 3_300)]
    assert [row.difference_nano for row in rows] == [4_400, 2_200]
    assert ledger_sum(organization) == 2_200
    assert not Repricing.objects.exists()


def test_repricing_books_a_missing_fee_in_force_when_the_call_was_sent(call: Call, organization: Organization) -> None:
    price(1, days=-30)
    attempt = call(tool_uses={"web_search": 2}, usage_issue="tool_unpriced")
    for nano, days in ((7, -9), (100, -1)):
        ToolFee.objects.create(
            provider="local", tool="web_search", nano_per_use=nano, effective_from=NOW + timedelta(days=days)
        )
    correct()
    attempt.refresh_from_db()
    assert (attempt.cost_nano, attempt.usage_issue, ledger_sum(organization)) == (1_114, "", 1_114)


def test_a_zero_fee_clears_the_missing_fee_mark(call: Call, organization: Organization) -> None:
    price(1, days=-30)
    attempt = call(tool_uses={"web_search": 2}, usage_issue="tool_unpriced")
    ToolFee.objects.create(provider="local", tool="web_search", nano_per_use=0, effective_from=NOW - timedelta(days=9))
    assert figures(difference(LAST_WEEK)[0]) == ("north", 1, 1, 0, 1_100, 1_100)
    correct()
    attempt.refresh_from_db()
    assert (attempt.cost_nano, attempt.usage_issue, ledger_sum(organization)) == (1_100, "", 1_100)
    assert correct() is None


def test_repricing_posts_the_difference_and_keeps_earlier_bookings(call: Call, organization: Organization) -> None:
    price(1, days=-30)
    attempt = call()
    newer = price(3, days=-8)
    done = correct()
    assert done is not None
    attempt.refresh_from_db()
    assert (attempt.cost_nano, attempt.price) == (3_300, newer)
    with organization_scope(organization.pk):
        old, adjustment = LedgerEntry.objects.order_by("id")
    assert (old.kind, old.nano) == (LedgerKind.USAGE, 1_100)
    assert (adjustment.kind, adjustment.nano, adjustment.repricing) == (LedgerKind.ADJUST, 2_200, done)
    assert timezone.now() - adjustment.at < timedelta(minutes=1)
    assert (done.by, done.reason, done.provider, done.model) == ("user:staff", "the list was wrong", "local", "m")


def test_lower_price_posts_a_negative_adjustment(call: Call, organization: Organization) -> None:
    price(3, days=-30)
    call()
    price(1, days=-8)
    correct()
    assert ledger_sum(organization) == 1_100


def test_a_second_run_posts_nothing(call: Call, organization: Organization) -> None:
    price(1, days=-30)
    call()
    price(3, days=-8)
    assert correct() is not None
    assert correct() is None
    assert figures(difference(LAST_WEEK)[0]) == ("north", 1, 0, 0, 3_300, 3_300)
    assert ledger_sum(organization) == 3_300
    assert Repricing.objects.count() == 1


def test_interrupted_run_can_be_continued(
    call: Call, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repricing, "BATCH", 2)
    price(1, days=-30)
    for _ in range(5):
        call()
    price(3, days=-8)
    whole, calls = repricing.ledger.reprice, iter(range(100))

    def crash_in_the_second_batch(*arguments: Any) -> bool:
        if next(calls) == 3:
            raise RuntimeError("killed")
        return whole(*arguments)

    monkeypatch.setattr(repricing.ledger, "reprice", crash_in_the_second_batch)
    with pytest.raises(RuntimeError):
        correct()
    assert ledger_sum(organization) == 2 * 3_300 + 3 * 1_100
    correct()
    assert ledger_sum(organization) == 5 * 3_300


def test_only_calls_sent_in_the_period_are_repriced(call: Call) -> None:
    price(1, days=-30)
    call(days=-8)
    call(days=-5)
    call(days=-8, dispatched_at=NOW - 6 * DAY)
    call(days=-3, dispatched_at=None)
    call(days=-1, model="other", price=None)
    call(state=AttemptState.ESTIMATED)
    call(state=AttemptState.RELEASED, cost_nano=0)
    call(created_at=LAST_WEEK.starts_at, dispatched_at=LAST_WEEK.starts_at)
    call(dispatched_at=LAST_WEEK.ends_at)
    call(created_at=LAST_WEEK.ends_at, dispatched_at=None)
    assert difference(LAST_WEEK)[0].attempts == count_calls(LAST_WEEK) == 4
    assert difference(Period("local", "", NOW - 7 * DAY, NOW))[0].attempts == 5
    assert difference(Period("nobody", "", NOW - 7 * DAY, NOW)) == []


UNCOUNTED: dict[str, Any] = {"state": AttemptState.ESTIMATED, "usage_issue": "no_usage"}


def test_a_local_estimate_is_repriced_and_stays_estimated(call: Call, organization: Organization) -> None:
    price(1, days=-30)
    attempt = call(raw_usage={"prompt_tokens": "?"}, **UNCOUNTED)
    at_bound = call(input_tokens=0, output_tokens=0, **UNCOUNTED)
    price(3, days=-8)
    assert figures(difference(LAST_WEEK)[0]) == ("north", 2, 1, 0, 2_200, 4_400)
    assert correct() is not None
    attempt.refresh_from_db()
    at_bound.refresh_from_db()
    assert (attempt.cost_nano, attempt.state, attempt.usage_issue) == (3_300, AttemptState.ESTIMATED, "no_usage")
    assert at_bound.cost_nano == 1_100
    assert ledger_sum(organization) == 4_400
    assert correct() is None


def test_an_estimate_is_settled_once_its_counts_can_be_read(call: Call, organization: Organization) -> None:
    price(1, days=-30)
    raw = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 80}
    attempt = call(raw_usage=raw, **UNCOUNTED)
    assert figures(difference(LAST_WEEK)[0]) == ("north", 1, 1, 0, 1_100, 80)
    assert correct() is not None
    attempt.refresh_from_db()
    assert (attempt.state, attempt.usage_issue, attempt.raw_usage) == (AttemptState.SETTLED, "", raw)
    assert (attempt.cost_nano, attempt.usage) == (80, TokenUsage(input=20, output=60))
    assert ledger_sum(organization) == 80
    assert correct() is None


def test_serving_tier_is_repriced_once_it_has_a_price(call: Call) -> None:
    standard = price(1, days=-30)
    attempt = call(tier="flex", usage_issue="tier_unpriced")
    terms = PriceTerms("local", "m", *[2_000_000] * 4, source="a test", tier="flex")
    flex = add_version(terms=terms, effective_from=NOW - 8 * DAY, actor="user:staff")
    correct()
    attempt.refresh_from_db()
    assert (attempt.cost_nano, attempt.price, attempt.usage_issue) == (2_200, flex, "")
    assert attempt.price != standard


def test_a_reported_cost_is_never_repriced(call: Call) -> None:
    ProviderBilling.objects.create(provider="local", booked_cost="reported")
    price(1, days=-30)
    attempt = call(reported_nano=1_100)
    price(3, days=-8)
    correct()
    attempt.refresh_from_db()
    assert attempt.cost_nano == 1_100


def test_each_call_gets_the_price_in_force_when_it_was_sent(call: Call) -> None:
    price(1, days=-30)
    early, late = call(days=-6), call(days=-4, created_at=NOW - 6 * DAY)
    price(3, days=-5)
    correct()
    early.refresh_from_db()
    late.refresh_from_db()
    assert (early.cost_nano, late.cost_nano) == (1_100, 3_300)


def test_a_call_without_a_price_is_booked_once_it_has_one(call: Call, organization: Organization) -> None:
    attempt = call(price=None, bound_nano=0)
    still = call(price=None, bound_nano=0, days=-6)
    newer = price(2, days=-5)
    assert figures(difference(LAST_WEEK)[0]) == ("north", 2, 1, 1, 0, 2_200)
    correct()
    attempt.refresh_from_db()
    still.refresh_from_db()
    assert (attempt.cost_nano, attempt.price, still.price) == (2_200, newer, None)
    assert ledger_sum(organization) == 2_200
    assert correct() is None


def test_cache_hits_stay_free(call: Call, organization: Organization) -> None:
    price(1, days=-30)
    call(kind=LedgerKind.CACHE_HIT, cost_nano=0)
    price(3, days=-8)
    assert difference(LAST_WEEK) == []
    assert correct() is None
    assert ledger_sum(organization) == 0


def test_repricing_is_recorded_in_the_audit_log_of_each_affected_organization(
    call: Call, organization: Organization, other_organization: Organization
) -> None:
    price(1, days=-30)
    call()
    price(3, days=-8)
    done = correct()
    assert done is not None
    with organization_scope(organization.pk):
        event = AuditEvent.objects.get(verb="price.repriced")
    assert event.actor == "user:staff"
    assert event.target.startswith("local/m ")
    assert event.changes == {"reason": ["", "the list was wrong"], "repricing": ["", str(done.pk)]}
    with organization_scope(other_organization.pk):
        assert not AuditEvent.objects.exists()


def test_query_count_does_not_grow_with_calls(call: Call) -> None:
    price(1, days=-30)
    call()
    with CaptureQueriesContext(connection) as few:
        difference(LAST_WEEK)
    for _ in range(9):
        call()
    with CaptureQueriesContext(connection) as many:
        difference(LAST_WEEK)
    assert len(many) == len(few)


@pytest.mark.parametrize("success", [True, False])
def test_report_that_a_cache_answered_costs_nothing_at_any_price(organization: Organization, success: bool) -> None:
    price(1, days=-9)
    reported = TrackedCall(at=NOW - 3 * DAY, cached=True, success=success)
    with organization_scope(organization.pk):
        track_request(organization.pk, "local", "m", TokenUsage(input=100, output=10), reported)
    price(3, days=-5)
    assert difference(LAST_WEEK) == []
    assert correct() is None
    assert ledger_sum(organization) == 0

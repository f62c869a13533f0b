"""Correcting a period's prices: what it would change, and the rows that change it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.ledger.entries import book_entry
from cost_app.models import (
    Attempt,
    AttemptState,
    LedgerEntry,
    LedgerKind,
    ModelPrice,
    ProviderBilling,
    Repricing,
    ToolFee,
)
from cost_app.prices import repricing
from cost_app.prices.proposals import add_version
from cost_app.prices.repricing import OrganizationDifference, Period, count_calls, difference, reprice
from cost_app.prices.terms import PriceTerms

DAY = timedelta(days=1)
NOW = timezone.now()
LAST_WEEK = Period("local", "m", NOW - 7 * DAY, NOW)
USAGE = TokenUsage(input=1_000, output=100)

Call = Callable[..., Attempt]


def price(per_token: int, *, days: float, model: str = "m") -> ModelPrice:
    nano = per_token * 1_000_000
    terms = PriceTerms("local", model, nano, nano, nano, nano, source="a test")
    return add_version(terms=terms, effective_from=NOW + timedelta(days=days), actor="user:staff")


@pytest.fixture
def call(organization: Organization) -> Call:
    """Books a settled call of 1,100 tokens; the arguments are columns of its attempt."""

    def make(days: float = -3, kind: LedgerKind = LedgerKind.USAGE, **columns: Any) -> Attempt:
        left_at = NOW + timedelta(days=days)
        at_price = columns.setdefault("price", ModelPrice.objects.filter(provider="local", model="m").first())
        defaults = {
            "organization": organization,
            "provider": "local",
            "model": "m",
            "state": AttemptState.SETTLED,
            "bound_nano": 5_000,
            "cost_nano": 1_100 * at_price.input // 1_000_000 if at_price else 0,
            "input_tokens": USAGE.input,
            "output_tokens": USAGE.output,
            "created_at": left_at,
            "dispatched_at": left_at,
        }
        with system_scope():
            attempt = Attempt.objects.create(**{**defaults, **columns})
            book_entry(
                organization_id=attempt.organization_id,
                attempt=attempt,
                provider=attempt.provider,
                model=attempt.model,
                kind=kind,
                nano=attempt.cost_nano,
            )
        return attempt

    return make


def ledger_sum(organization: Organization) -> int:
    with organization_scope(organization.pk):
        return LedgerEntry.objects.aggregate(sum=Sum("nano"))["sum"] or 0


def figures(row: OrganizationDifference) -> tuple[str, int, int, int, int, int]:
    slug = row.organization.slug
    return slug, row.attempts, row.changed, row.now_priced, row.booked_nano, row.new_nano


def correct(period: Period = LAST_WEEK) -> Repricing | None:
    return reprice(period=period, actor="user:staff", reason="the list was wrong")


def test_the_difference_is_shown_by_organization_without_writing(
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


def test_a_lower_price_refunds_the_budgets(call: Call, organization: Organization) -> None:
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


def test_a_run_after_an_interruption_continues(
    call: Call, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repricing, "BATCH", 2)
    price(1, days=-30)
    for _ in range(5):
        call()
    price(3, days=-8)
    whole, calls = repricing.ledger.reprice, iter(range(100))

    def dies_in_the_second_batch(*arguments: Any) -> bool:
        if next(calls) == 3:
            raise RuntimeError("killed")
        return whole(*arguments)

    monkeypatch.setattr(repricing.ledger, "reprice", dies_in_the_second_batch)
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


def test_the_answering_tier_is_repriced_once_it_has_a_price(call: Call) -> None:
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


def test_each_organization_has_it_in_its_audit_log(
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


def test_the_difference_of_more_calls_costs_no_more_queries(call: Call) -> None:
    price(1, days=-30)
    call()
    with CaptureQueriesContext(connection) as few:
        difference(LAST_WEEK)
    for _ in range(9):
        call()
    with CaptureQueriesContext(connection) as many:
        difference(LAST_WEEK)
    assert len(many) == len(few)


# The command

DATES = ("--from", f"{NOW - 7 * DAY:%Y-%m-%d}", "--to", f"{NOW + DAY:%Y-%m-%d}")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("reprice", "local", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_shows_the_difference_and_posts_it_with_yes(call: Call, organization: Organization) -> None:
    price(1, days=-30)
    call()
    price(3, days=-8)
    shown = "north: 1 of 1 calls change; booked 0.0000011, new 0.0000033, difference 0.0000022 USD"
    said = run("m", *DATES)
    assert shown in said
    assert "Nothing was written" in said
    assert ledger_sum(organization) == 1_100
    said = run(*DATES, "--yes", "--reason", "the list was wrong")
    assert shown in said
    assert "Posted as repricing" in said
    assert ledger_sum(organization) == 3_300
    assert Repricing.objects.get().by == "command:reprice"
    assert "nothing to correct" in run(*DATES, "--yes", "--reason", "again")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "soon", "--to", "2026-01-02"), "soon is not a date"),
        (("--from", "2026-13-01", "--to", "2026-01-02"), "2026-13-01 is not a date"),
        (("--from", "2026-01-02", "--to", "2026-01-02"), "end after it starts"),
        (("--from", "2026-01-01", "--to", "2026-01-02", "--yes"), "Give a reason"),
    ],
)
def test_the_command_refuses_invalid_arguments(arguments: tuple[str, ...], said: str, db: None) -> None:
    with pytest.raises(CommandError, match=said):
        run(*arguments)


# The page


@pytest.fixture
def staff(owner: User, client_of: Callable[[User], Client]) -> Client:
    owner.is_staff = owner.is_superuser = True
    owner.save()
    return client_of(owner)


DAYS = {"provider": "local", "model": "m", "first": f"{NOW - 7 * DAY:%Y-%m-%d}", "last": f"{NOW + DAY:%Y-%m-%d}"}


def test_the_page_shows_the_difference_first_and_then_posts_it(
    staff: Client, call: Call, organization: Organization
) -> None:
    price(1, days=-30)
    call()
    price(3, days=-8)
    page = staff.get(reverse("price_repricing"), DAYS).text
    assert "North Ltd" in page
    assert "$0.0000022" in page
    assert "Correct 1 call" in page
    assert f'value="{DAYS["first"]}"' in page
    assert ledger_sum(organization) == 1_100
    response = staff.post(reverse("price_reprice"), {**DAYS, "reason": "the list was wrong"}, follow=True)
    assert "Corrections posted" in response.text
    assert "the list was wrong" in response.text
    assert ledger_sum(organization) == 3_300
    assert "already has today" in staff.get(reverse("price_repricing"), DAYS).text
    again = staff.post(reverse("price_reprice"), {**DAYS, "reason": "again"}, follow=True)
    assert "nothing to correct" in again.text


def test_the_page_counts_days_by_the_organizations_clock(staff: Client, call: Call) -> None:
    """Berlin is an hour ahead of UTC in November."""
    price(1, days=-400)
    midnight = datetime(2026, 11, 2, 23, tzinfo=UTC)
    call(created_at=midnight, dispatched_at=midnight)
    for day, is_seen in (("2026-11-02", False), ("2026-11-03", True)):
        page = staff.get(reverse("price_repricing"), {**DAYS, "first": day, "last": day}).text
        assert ("No calls" not in page) is is_seen


def test_the_empty_page_explains_repricing(staff: Client) -> None:
    price(1, days=-1)
    assert "No repricings yet" in staff.get(reverse("price_repricing")).text
    assert "No calls" in staff.get(reverse("price_repricing"), DAYS).text


@pytest.mark.parametrize(
    "wrong", [{"first": "soon"}, {"provider": "nobody"}, {"first": "2026-11-03", "last": "2026-11-02"}]
)
def test_an_invalid_period_is_refused(staff: Client, wrong: dict[str, str]) -> None:
    price(1, days=-1)
    assert staff.get(reverse("price_repricing"), {**DAYS, **wrong}).status_code == 422
    assert staff.post(reverse("price_reprice"), {**DAYS, **wrong, "reason": "x"}).status_code == 422


def test_nothing_is_posted_without_a_reason(staff: Client, call: Call, organization: Organization) -> None:
    price(1, days=-30)
    call()
    price(3, days=-8)
    response = staff.post(reverse("price_reprice"), DAYS)
    assert response.status_code == 422
    assert "Correct 1 call" in response.text
    assert ledger_sum(organization) == 1_100


def test_large_periods_are_left_to_the_command(
    staff: Client, call: Call, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cost_app.prices.views.MOST_CALLS", 1)
    price(1, days=-30)
    call()
    call()
    price(3, days=-8)
    shown = staff.get(reverse("price_repricing"), DAYS)
    posted = staff.post(reverse("price_reprice"), {**DAYS, "reason": "x"})
    for response in (shown, posted):
        assert response.status_code == 422
        assert "manage.py reprice" in response.text
    assert ledger_sum(organization) == 2_200


def test_posting_requires_post_and_staff(owner: User, client_of: Callable[[User], Client]) -> None:
    client = client_of(owner)
    assert client.post(reverse("price_reprice"), DAYS).status_code == 403
    owner.is_staff = owner.is_superuser = True
    owner.save()
    assert client.get(reverse("price_reprice")).status_code == 405

"""The cost of calls, and what is booked if the provider does not report usage."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Sum
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.ledger import attempts
from cost_app.ledger.billing import differs
from cost_app.ledger.reconciliation import disagreements
from cost_app.ledger.rollups import fold
from cost_app.models import Attempt, AttemptState, Budget, BudgetWindow, LedgerEntry, ProviderBilling, ToolFee, UsageDay
from cost_app.models.ledger import token_columns
from cost_app.prices.proposals import add_version
from cost_app.prices.terms import PriceTerms
from tests.providers.usage.shape import PRICES
from tests.providers.usage.shapes import SHAPES

Open = Callable[..., Attempt]
STANDARD = PriceTerms("fake", "m1", source="a test", **{name: each * 1_000_000 for name, each in PRICES.items()})
FLEX = replace(STANDARD, tier="flex", input=500_000_000, output=5_000_000_000)
PLAIN = TokenUsage(input=20, output=10)


@pytest.fixture(autouse=True)
def scoped(organization: Organization) -> Iterator[None]:
    for terms in (STANDARD, FLEX):
        add_version(terms=terms, effective_from=timezone.now() - timedelta(days=1), actor="user:staff")
    with organization_scope(organization.pk):
        yield


@pytest.fixture
def sent(open_attempt: Open) -> Open:
    """Creates a dispatched attempt of the fake provider."""

    def make(**fields: object) -> Attempt:
        attempt = open_attempt(**{"provider": "fake", "model": "m1", **fields})
        assert attempts.dispatch(attempt, timedelta(seconds=30))
        return attempt

    return make


def ledger() -> list[tuple[str, int, bool, int]]:
    return list(LedgerEntry.objects.order_by("id").values_list("kind", "nano", "estimated", "errors"))


@pytest.mark.parametrize(
    ("ours", "reported", "expected"),
    [
        (620_000, 620_000, False),
        (620_000, 626_200, False),
        (620_000, 626_201, True),
        (620_000, 613_799, True),
        (10, 1_010, False),
        (10, 1_011, True),
        (0, 1_001, True),
        (1_001, 0, True),
        (0, 0, False),
    ],
)
def test_costs_differ_above_one_percent_and_a_millionth_of_a_dollar(ours: int, reported: int, expected: bool) -> None:
    assert differs(ours, reported) == expected


def test_every_supported_usage_shape_is_booked_at_its_cost(sent: Open) -> None:
    shapes = [shape for shape in SHAPES if shape.usage and shape.nano is not None]
    for shape in shapes:
        assert shape.usage
        attempts.settle(sent(max_tokens=6_000), shape.usage, {})
    assert [nano for _, nano, *_ in ledger()] == [shape.nano for shape in shapes]
    assert len(shapes) > 30
    assert list(disagreements()) == []


def test_complete_usage_is_stored_on_attempt_and_ledger(sent: Open) -> None:
    usage = TokenUsage(1, 2, 3, 50, 5, cache_write_1h=4, tool_uses={"web_search": 2}, tier="flex", reported_nano=7)
    attempts.settle(sent(), usage, {"prompt_tokens": 10})
    attempt, entry = Attempt.objects.get(), LedgerEntry.objects.get()
    assert attempt.usage == entry.usage == usage
    assert (attempt.cache_write_tokens, attempt.cache_write_1h_tokens) == (7, 4)
    fold()
    assert UsageDay.objects.get(dimension="total").cache_write_tokens == 7


@pytest.mark.parametrize(("tier", "nano", "issue"), [("flex", 60_000, ""), ("priority", 120_000, "tier_unpriced")])
def test_serving_tier_is_billed_or_the_standard_price_without_a_tier_price(
    sent: Open, tier: str, nano: int, issue: str
) -> None:
    attempts.settle(sent(), replace(PLAIN, tier=tier), {})
    attempt = Attempt.objects.select_related("price").get()
    assert attempt.price
    assert (attempt.cost_nano, attempt.usage_issue, attempt.tier) == (nano, issue, tier)
    assert attempt.price.tier == ("standard" if issue else tier)


def test_hold_covers_the_most_expensive_tier_that_can_serve_and_the_serving_tier_is_billed(open_attempt: Open) -> None:
    expensive = replace(
        STANDARD, tier="priority", input=2_000_000_000, cache_write=2_500_000_000, output=20_000_000_000
    )
    add_version(terms=expensive, effective_from=timezone.now() - timedelta(days=1), actor="user:staff")
    plain, flex, priority, auto = (
        open_attempt(provider="fake", model="m1", service_tier=tier) for tier in (None, "flex", "priority", "auto")
    )
    assert plain.bound_nano == flex.bound_nano
    assert priority.bound_nano == auto.bound_nano == plain.bound_nano * 2
    assert attempts.dispatch(priority, timedelta(seconds=30))
    attempts.settle(priority, replace(PLAIN, tier="flex"), {})
    priority.refresh_from_db()
    assert (priority.cost_nano, priority.tier) == (60_000, "flex")


@pytest.mark.parametrize(
    ("tools", "nano", "issue"),
    [
        ({"web_search": 2}, 120_010, ""),
        ({"web_search": 2, "shell": 0}, 120_010, ""),
        ({"web_search": 2, "shell": 1}, 120_010, "tool_unpriced"),
    ],
)
def test_tools_are_billed_at_the_current_fee_and_missing_fees_are_marked(
    sent: Open, tools: dict[str, int], nano: int, issue: str
) -> None:
    now = timezone.now()
    for fee, hours in ((5, -3), (9, -1)):
        ToolFee.objects.create(
            provider="fake", tool="web_search", nano_per_use=fee, effective_from=now + timedelta(hours=hours)
        )
    attempt = sent()
    attempt.dispatched_at = now - timedelta(hours=2)
    attempts.settle(attempt, replace(PLAIN, tool_uses=tools), {})
    row = Attempt.objects.get()
    assert (row.cost_nano, row.usage_issue) == (nano, issue)


@pytest.mark.parametrize(
    ("booked", "reported", "nano", "issue"),
    [
        ("ours", 120_500, 120_000, ""),
        ("ours", 500_000, 120_000, "cost_differs"),
        ("reported", 120_500, 120_500, ""),
        ("reported", 500_000, 500_000, "cost_differs"),
        ("reported", 0, 0, "cost_differs"),
        ("reported", None, 120_000, ""),
        ("", 500_000, 120_000, "cost_differs"),
    ],
)
def test_reported_cost_is_stored_and_booked_if_configured(
    sent: Open, booked: str, reported: int | None, nano: int, issue: str
) -> None:
    if booked:
        ProviderBilling.objects.create(provider="fake", booked_cost=booked)
    ProviderBilling.objects.create(provider="other", booked_cost="reported")
    attempts.settle(sent(), replace(PLAIN, reported_nano=reported), {})
    attempt, entry = Attempt.objects.get(), LedgerEntry.objects.get()
    assert (attempt.cost_nano, attempt.usage_issue) == (nano, issue)
    assert (entry.nano, entry.reported_nano, attempt.reported_nano) == (nano, reported, reported)


@pytest.mark.parametrize(("provider", "is_saved"), [("fake", True), ("fale", False)])
def test_staff_can_only_configure_existing_providers(
    owner: User, client_of: Callable[[User], Client], provider: str, is_saved: bool
) -> None:
    owner.is_staff = owner.is_superuser = True
    owner.save()
    form = {"provider": provider, "booked_cost": "reported"}
    client_of(owner).post(reverse("admin:cost_app_providerbilling_add"), form)
    saved = [("fake", "reported", user_actor(owner))] if is_saved else []
    assert list(ProviderBilling.objects.values_list("provider", "booked_cost", "changed_by")) == saved


COUNTED = TokenUsage(input=12, output=3)


@pytest.mark.parametrize(
    ("counted", "limit", "nano"),
    [(COUNTED, 100, 42_000), (None, 100, None), (TokenUsage(input=10**6), 100, None)],
    ids=["counted", "not counted", "above the bound"],
)
def test_an_answer_without_usable_counts_is_estimated(
    sent: Open, counted: TokenUsage | None, limit: int, nano: int | None
) -> None:
    attempt = sent(max_tokens=limit)
    attempts.settle_uncounted(attempt, counted, {"prompt_tokens": "?"})
    row, entry = Attempt.objects.get(), LedgerEntry.objects.get()
    assert ledger() == [("usage", nano or attempt.bound_nano, True, 0)]
    assert (row.state, row.usage_issue, row.error_code) == (AttemptState.ESTIMATED, "no_usage", "")
    assert (row.raw_usage, entry.latency_ms is None) == ({"prompt_tokens": "?"}, False)
    assert entry.usage == row.usage == (counted or TokenUsage())


def test_a_second_estimate_books_nothing(sent: Open) -> None:
    attempt = sent()
    attempts.settle_uncounted(attempt, COUNTED, {})
    attempts.settle_uncounted(attempt, COUNTED, {})
    attempts.estimate(attempt, "TIMEOUT")
    assert len(ledger()) == 1


@pytest.mark.parametrize(
    "known", [PLAIN, TokenUsage(input=1, output=1), TokenUsage(output=900)], ids=["more", "less", "above the bound"]
)
@pytest.mark.parametrize("counted", [COUNTED, None], ids=["counted", "bound"])
def test_an_estimate_is_settled_by_the_difference_in_money_and_tokens(
    sent: Open, counted: TokenUsage | None, known: TokenUsage, organization: Organization
) -> None:
    Budget.objects.create(organization=organization, period="daily", limit_nano=10**9, enforcement="block")
    attempt = sent()
    attempts.settle_uncounted(attempt, counted, {})
    attempts.settle(attempt, known, {"found": True})
    row, total = Attempt.objects.get(), _booked()
    cost = known.input * PRICES["input"] + known.output * PRICES["output"]
    assert (row.state, row.cost_nano, row.usage_issue, row.usage) == (AttemptState.SETTLED, cost, "", known)
    assert total == {"nano": cost, "calls": 1, **token_columns(known)}
    assert BudgetWindow.objects.get().committed_nano == cost
    assert list(disagreements()) == []


def test_an_uncharged_estimate_is_reversed_with_its_tokens(sent: Open) -> None:
    attempt = sent()
    attempts.settle_uncounted(attempt, COUNTED, {})
    attempts.refund(attempt)
    assert _booked() == {"nano": 0, "calls": 1, **token_columns(TokenUsage())}
    assert Attempt.objects.get().usage == TokenUsage()
    assert list(disagreements()) == []


def _booked() -> dict[str, Any]:
    names = ("nano", "calls", *token_columns(PLAIN))
    return LedgerEntry.objects.aggregate(**{name: Sum(name) for name in names})


def test_a_failed_call_keeps_its_reported_counts(sent: Open) -> None:
    attempts.estimate(sent(), "SERVER_ERROR", "no answer", {"total_tokens": 9})
    assert Attempt.objects.get().raw_usage == {"total_tokens": 9}
    assert [row[2:] for row in ledger()] == [(True, 1)]

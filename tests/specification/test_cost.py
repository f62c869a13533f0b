"""The specification's examples of the cost optimizer."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from datetime import timezone as timezone_of
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.facade import (
    CostOptimizer,
    InvalidValueError,
    ModelNotPricedError,
    ReportConflictError,
    UnknownOrganizationError,
)
from cost_app.models import Alert, Attempt, Budget, BudgetWindow
from tests.api.support import rows
from tests.cost_app.recommendations.support import make_recommendation

CALL = ("north", "deepseek", "deepseek-chat")
USAGE = {"promptTokens": 100, "completionTokens": 150, "totalTokens": 250}
METADATA = {"latency": 2400, "cached": False, "userId": "user-456", "priority": "normal", "success": True}
BUDGET = {
    "period": "monthly",
    "limit": 100.0,
    "warningThreshold": 80,
    "alertThreshold": 95,
    "rolloverUnused": False,
}
COST = Decimal("0.000056")
"""100 tokens at $0.14 and 150 at $0.28 per million."""
pytestmark = pytest.mark.usefixtures("organization")


def test_a_tracked_request_appears_in_the_metrics_immediately(cost: CostOptimizer) -> None:
    booked = cost.track_request(*CALL, USAGE, METADATA)
    assert (booked.cost, booked.is_priced) == (COST, True)
    for period in ("hourly", "daily", "weekly", "monthly"):
        newest = cost.get_cost_metrics("north", period, 1)[0]
        assert (newest.total_requests, newest.total_cost, newest.cost_per_request) == (1, COST, COST), period
        assert (newest.total_tokens, newest.cache_hit_rate, newest.average_latency_ms) == (250, 0.0, 2400.0), period
        assert not newest.is_over


def test_metrics_are_newest_first_and_limited_to_the_requested_number(cost: CostOptimizer) -> None:
    cost.track_request(*CALL, USAGE, {**METADATA, "at": timezone.now() - timedelta(days=1)})
    today, yesterday = cost.get_cost_metrics("north", "daily", 2)
    assert today.start > yesterday.start
    assert (today.total_requests, yesterday.total_requests) == (0, 1)
    assert today.cost_per_request is None


def test_a_cached_answer_costs_nothing_and_counts_as_a_hit(cost: CostOptimizer) -> None:
    cost.track_request(*CALL, USAGE, METADATA)
    cost.track_request(*CALL, USAGE, {**METADATA, "cached": True})
    newest = cost.get_cost_metrics("north", "daily", 1)[0]
    assert (newest.cache_hits, newest.cache_hit_rate, newest.total_cost, newest.saved_cost) == (1, 50.0, COST, COST)


def test_metrics_can_be_grouped(cost: CostOptimizer) -> None:
    cost.track_request(*CALL, USAGE, {**METADATA, "tags": ["audit"]})
    for by, value in {"provider": "deepseek", "user": "user-456", "tag": "audit", "api_key": ""}.items():
        groups = cost.get_cost_metrics("north", "daily", 1, by=by)[0].groups
        assert groups and [(group.value, group.total_cost) for group in groups] == [(value, COST)]


def test_metadata_keys_can_be_snake_case_or_camel_case(cost: CostOptimizer) -> None:
    cost.track_request(
        *CALL,
        {"prompt_tokens": 100, "completion_tokens": 150},
        {"user_id": "ada", "external_id": "a-1", "at": "2020-01-01T00:00:00Z"} | {"at": timezone.now().isoformat()},
    )
    with organization_scope(Organization.objects.get(slug="north").pk):
        assert Attempt.objects.get().user_ref == "ada"
    with pytest.raises(InvalidValueError, match=r"metadata\.user_id"):
        cost.track_request(*CALL, USAGE, {"userId": "ada", "user_id": "bob"})


@pytest.mark.parametrize(
    ("usage", "facts"),
    [
        ({"cacheWriteTokens": 8, "cacheWrite1hTokens": 5, "toolUses": {"web_search": 2}}, {"tier": "batch"}),
        ({"cache_write_tokens": 8, "cache_write_1h_tokens": 5, "tool_uses": {"web_search": 2}}, {"batch": True}),
    ],
)
def test_tier_tools_and_reported_cost_are_stored(
    cost: CostOptimizer, usage: dict[str, object], facts: dict[str, object]
) -> None:
    cost.track_request(*CALL, {**USAGE, **usage}, {**facts, "cost": Decimal("0.00007")})
    with organization_scope(Organization.objects.get(slug="north").pk):
        booked = Attempt.objects.get().usage
    assert (booked.cache_write, booked.cache_write_1h, booked.tool_uses) == (3, 5, {"web_search": 2})
    assert (booked.tier, booked.reported_nano) == ("batch", 70_000)


def test_a_report_with_an_external_id_is_booked_once(cost: CostOptimizer) -> None:
    first = cost.track_request(*CALL, USAGE, {"externalId": "invoice-7"})
    assert cost.track_request(*CALL, USAGE, {"externalId": "invoice-7"}) == first
    assert cost.get_cost_metrics("north", "daily", 1)[0].total_requests == 1
    with pytest.raises(ReportConflictError):
        cost.track_request(*CALL, {**USAGE, "promptTokens": 5, "totalTokens": 155}, {"externalId": "invoice-7"})


def test_a_model_without_a_price_raises_an_error(cost: CostOptimizer) -> None:
    with pytest.raises(ModelNotPricedError):
        cost.track_request("north", "deepseek", "nothing", USAGE)


EAST, WEST = timezone_of(timedelta(hours=14)), timezone_of(timedelta(hours=-12))


@pytest.mark.parametrize(
    "at",
    [
        datetime.now(UTC) - timedelta(days=40),
        datetime.now(UTC) + timedelta(days=1),
        datetime.min.replace(tzinfo=EAST),
        datetime.max.replace(tzinfo=WEST),
        "0001-01-01T00:00:00+14:00",
        datetime.now(),  # noqa: DTZ005 - without a zone
        datetime.now(UTC).date(),
    ],
    ids=["long ago", "tomorrow", "first day", "last day", "first day as text", "no zone", "no time"],
)
def test_a_call_with_an_invalid_time_is_refused(cost: CostOptimizer, at: object) -> None:
    with pytest.raises(InvalidValueError) as refusal:
        cost.track_request(*CALL, USAGE, {"at": at})
    assert refusal.value.field == "metadata.at"


def test_a_report_above_the_maximum_cost_is_refused_with_field_usage(
    cost: CostOptimizer, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cost_app.ledger.tracking.CALL_MAX_NANO", 1)
    with pytest.raises(InvalidValueError) as refusal:
        cost.track_request(*CALL, USAGE)
    assert (refusal.value.field, "1,000,000 dollars" in str(refusal.value)) == ("usage", True)
    with organization_scope(organization.pk):
        assert not Attempt.objects.exists()


@pytest.mark.parametrize("metadata", [[], "text", 5, {"provider": "openai"}, {"usage": USAGE}, {"color": "red"}])
def test_metadata_must_be_a_mapping_of_known_fields(cost: CostOptimizer, metadata: Any) -> None:
    with pytest.raises(InvalidValueError, match="metadata"):
        cost.track_request(*CALL, USAGE, metadata)


@pytest.mark.parametrize("limit", [100, 100.0, "100.00", Decimal(100)], ids=repr)
def test_a_budget_limit_is_in_dollars(cost: CostOptimizer, organization: Organization, limit: object) -> None:
    budget_id = cost.set_budget("north", {**BUDGET, "limit": limit})
    with organization_scope(organization.pk):
        budget = Budget.objects.get()
        assert AuditEvent.objects.filter(verb="budget.created", actor="Python").count() == 1
    assert budget_id == str(budget.pk)
    assert (budget.limit_nano, budget.warning_percent, budget.alert_percent) == (100 * 10**9, 80, 95)


@pytest.mark.parametrize("limit", ["NaN", "sNaN", "Infinity", "-1", "1E+999999", "1E-999999", "0.0000000001"])
def test_an_invalid_decimal_limit_is_refused(cost: CostOptimizer, limit: str) -> None:
    with pytest.raises(InvalidValueError) as refusal:
        cost.set_budget("north", {**BUDGET, "limit": Decimal(limit)})
    assert refusal.value.field == "budget.limit"


@pytest.mark.parametrize("budget", [None, [], "monthly", 100, {}])
def test_a_budget_must_be_a_mapping_with_period_and_limit(cost: CostOptimizer, budget: Any) -> None:
    with pytest.raises(InvalidValueError, match="budget"):
        cost.set_budget("north", budget)


@pytest.mark.parametrize(("count_from", "counts"), [("period", True), ("now", False)])
def test_a_new_budget_counts_from_the_start_of_its_period_or_from_now(
    cost: CostOptimizer, organization: Organization, count_from: str, counts: bool
) -> None:
    cost.track_request(*CALL, USAGE)
    cost.set_budget("north", {**BUDGET, "countFrom": count_from})
    with organization_scope(organization.pk):
        assert BudgetWindow.objects.get().committed_nano == counts * COST.scaleb(9)


def test_setting_a_budget_for_the_same_period_changes_it(cost: CostOptimizer) -> None:
    first = cost.set_budget("north", BUDGET)
    assert cost.set_budget("north", {"period": "monthly", "limit": "5", "enforcement": "block"}) == first


def test_a_refused_budget_names_the_setting_as_spelled_by_the_caller(cost: CostOptimizer) -> None:
    for spelled in ("warningThreshold", "warning_threshold"):
        with pytest.raises(InvalidValueError) as refusal:
            cost.set_budget("north", {"period": "monthly", "limit": 1, spelled: 96})
        assert refusal.value.field == f"budget.{spelled}"


def test_alerts_can_be_filtered_by_acknowledgment(cost: CostOptimizer, organization: Organization) -> None:
    budget_id = int(cost.set_budget("north", BUDGET))
    with organization_scope(organization.pk):
        columns = {"organization": organization, "kind": "budget_warning", "severity": "medium", "current_nano": 5}
        about = {"budget_id": budget_id, "limit_nano": 10**9}
        Alert.objects.create(**columns, **about, cause="a", message="Budget warning: $0.85 (85%)")
        Alert.objects.create(**columns, cause="b", state="acknowledged")
    (alert,) = cost.get_alerts("north", acknowledged=False)
    assert (alert.type, alert.severity, alert.status) == ("budget_warning", "medium", "open")
    assert (alert.message, alert.budget_limit) == ("Budget warning: $0.85 (85%)", Decimal(1))
    assert [each.status for each in cost.get_alerts("north", acknowledged=True)] == ["acknowledged"]
    assert len(cost.get_alerts("north", acknowledged=None)) == 2
    assert cost.get_alerts("north") == [alert]


def test_recommendations_include_savings_and_difficulty(cost: CostOptimizer, organization: Organization) -> None:
    assert cost.get_recommendations("north") == []
    made = make_recommendation(organization)
    (found,) = cost.get_recommendations("north", status="open")
    assert (found.id, found.title) == (str(made.pk), made.title)
    assert found.estimated_savings.monthly == Decimal(made.monthly_nano).scaleb(-9)
    assert found.implementation.difficulty in {"easy", "medium", "hard"}
    assert cost.get_recommendations("north", status="dismissed") == []


def test_a_provider_is_recommended_with_reasons_and_cost(cost: CostOptimizer) -> None:
    advice = cost.get_optimal_provider("north", "simple", "normal")
    assert advice.provider and advice.model and advice.reasoning
    assert isinstance(advice.estimated_cost, Decimal) and advice.estimated_cost > 0
    assert advice.alternatives[0].provider


def test_results_are_frozen_and_use_decimals_for_money(cost: CostOptimizer, organization: Organization) -> None:
    make_recommendation(organization)
    results = [
        cost.track_request(*CALL, USAGE, METADATA),
        cost.get_cost_metrics("north", "daily", 1, by="model")[0],
        cost.get_recommendations("north")[0],
        cost.get_optimal_provider("north", "complex"),
    ]
    for result in results:
        assert _floats_of_money(result) == []
        with pytest.raises(FrozenInstanceError):
            setattr(result, fields(result)[0].name, None)


def _floats_of_money(result: Any) -> list[str]:
    """The names of money fields that are not Decimals."""
    found = []
    for field in fields(result):
        value = getattr(result, field.name)
        if is_dataclass(value):
            found += _floats_of_money(value)
        elif any(word in field.name for word in ("cost", "monthly", "saved")) and not isinstance(value, Decimal | None):
            found.append(field.name)
    return found


def test_calls_need_no_scope_and_are_isolated_by_organization(
    cost: CostOptimizer, other_organization: Organization
) -> None:
    cost.track_request(*CALL, USAGE, METADATA)
    cost.set_budget("north", BUDGET)
    assert cost.get_cost_metrics("south", "daily", 1)[0].total_requests == 0
    assert cost.get_alerts("south") == []


CALLS: list[Callable[[CostOptimizer, Any], object]] = [
    lambda cost, slug: cost.track_request(slug, "deepseek", "deepseek-chat", USAGE, METADATA),
    lambda cost, slug: cost.get_cost_metrics(slug, "daily", 30),
    lambda cost, slug: cost.set_budget(slug, BUDGET),
    lambda cost, slug: cost.get_alerts(slug),
    lambda cost, slug: cost.get_recommendations(slug),
    lambda cost, slug: cost.get_optimal_provider(slug, "simple", "normal"),
]


@pytest.mark.parametrize("call", CALLS)
def test_an_unknown_organization_raises_a_lookup_error_and_stores_nothing(
    cost: CostOptimizer, call: Callable[[CostOptimizer, Any], object]
) -> None:
    before = rows()
    for slug in ("nowhere", "", "x" * 5_000, "NORTH"):
        with pytest.raises(UnknownOrganizationError):
            call(cost, slug)
    for slug in (None, 1, "a\0", "\ud800", ["north"]):
        with pytest.raises(InvalidValueError) as refusal:
            call(cost, slug)
        assert refusal.value.field == "organization_id"
    assert rows() == before

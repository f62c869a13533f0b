"""Rules change calls until they are undone, and their savings are counted per call."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import (
    Attempt,
    CostPolicy,
    ModelPrice,
    OptimizationRule,
    Recommendation,
    RecommendationKind,
    RuleUse,
)
from cost_app.prices import lookup
from cost_app.recommendations.lifecycle import apply, undo
from cost_app.recommendations.realised import RuleSavings, count_rule_savings
from cost_app.recommendations.rules import CallTerms, Use, forget_rules, off_peak_begin, record_uses, shape
from tests.cost_app.recommendations.conftest import NOW, Traffic, add_price, plain_price

Kind = RecommendationKind
SIMPLE = CallTerms("openai", "gpt-4", None, "simple", 100, 3)
LOW = CallTerms("deepseek", "deepseek-x", None, "simple", 10, 3)
ROUTE = {"model": "openai/gpt-4", "to": "deepseek/deepseek-chat"}
PEAK_HOURS = [{"weekdays": [0, 1, 2, 3, 4], "from": "06:00", "to": "10:00"}]
FRIDAY_NINE = datetime(2026, 11, 20, 9, 7, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("scope")


def advise(organization: Organization, kind: Kind, terms: dict[str, object], **columns: object) -> Recommendation:
    defaults = {"subject": str(uuid.uuid4()), "monthly_nano": 30_000_000_000, "percent": 10}
    return Recommendation.objects.create(
        organization_id=organization.pk, kind=kind, rule_terms=terms, title="Do it", **{**defaults, **columns}
    )


def rule_for(organization: Organization, kind: Kind, terms: dict[str, object]) -> OptimizationRule:
    rule = apply(recommendation=advise(organization, kind, terms), actor="user:finance")
    forget_rules()
    assert rule is not None
    return rule


@pytest.fixture
def windows() -> dict[str, ModelPrice]:
    model = ("deepseek", "deepseek-x")
    peak = add_price(*model, window_name="peak", window=PEAK_HOURS, input=2_000_000_000, output=4_000_000_000)
    off = add_price(*model, input=1_000_000_000, output=2_000_000_000)
    lookup.clear_price_cache()
    return {"peak": peak, "off": off}


def test_call_without_rules_is_unchanged(organization: Organization) -> None:
    assert shape(organization.pk, SIMPLE) is SIMPLE


def test_rules_are_cached_for_a_second(organization: Organization, django_assert_num_queries: object) -> None:
    shape(organization.pk, SIMPLE)
    with django_assert_num_queries(0):  # type: ignore[operator]
        shape(organization.pk, SIMPLE)


def test_simple_requests_are_routed_to_the_cheaper_model(organization: Organization) -> None:
    rule = rule_for(organization, Kind.CHEAPER_MODEL, ROUTE)

    shaped = shape(organization.pk, SIMPLE)

    assert (shaped.provider, shaped.model) == ("deepseek", "deepseek-chat")
    assert shaped.uses == (Use(rule.pk, plain_price("openai", "gpt-4").pk),)


@pytest.mark.parametrize(
    "terms",
    [
        CallTerms("openai", "gpt-4", None, "complex", 100, 3),
        CallTerms("openai", "gpt-4", None, "creative", 100, 3),
        CallTerms("openai", "gpt-3.5-turbo", None, "simple", 100, 3),
    ],
)
def test_other_classes_and_models_are_not_routed(organization: Organization, terms: CallTerms) -> None:
    rule_for(organization, Kind.CHEAPER_MODEL, ROUTE)

    assert shape(organization.pk, terms) is terms


def test_model_that_is_no_longer_allowed_is_not_routed_to(organization: Organization) -> None:
    rule_for(organization, Kind.CHEAPER_MODEL, ROUTE)
    CostPolicy.objects.create(
        organization_id=organization.pk, allowed_models=[{"provider": "openai", "model": "gpt-4", "classes": []}]
    )

    assert shape(organization.pk, SIMPLE) is SIMPLE


def test_model_without_a_price_or_provider_is_not_routed_to(organization: Organization) -> None:
    rule_for(organization, Kind.CHEAPER_MODEL, {"model": "openai/gpt-4", "to": "openai/unknown"})
    rule_for(organization, Kind.CHEAPER_MODEL, {"model": "openai/gpt-4", "to": "nobody/some-model"})

    assert shape(organization.pk, SIMPLE) is SIMPLE


def test_rules_do_not_chain(organization: Organization) -> None:
    rule_for(organization, Kind.CHEAPER_MODEL, {"model": "openai/gpt-4", "to": "openai/gpt-3.5-turbo"})
    rule_for(organization, Kind.CHEAPER_MODEL, {"model": "openai/gpt-3.5-turbo", "to": "deepseek/deepseek-chat"})

    assert shape(organization.pk, SIMPLE).model == "gpt-3.5-turbo"


def test_undoing_ends_the_rule(organization: Organization) -> None:
    rule = rule_for(organization, Kind.CHEAPER_MODEL, ROUTE)
    undo(recommendation=rule.recommendation, actor="user:finance")
    forget_rules()

    assert shape(organization.pk, SIMPLE) is SIMPLE


def test_rules_do_not_apply_to_other_organizations(
    organization: Organization, other_organization: Organization
) -> None:
    rule_for(organization, Kind.CHEAPER_MODEL, ROUTE)

    for scope in (organization_scope(other_organization.pk), system_scope()):
        forget_rules()
        with scope:
            assert shape(other_organization.pk, SIMPLE) is SIMPLE


@pytest.mark.parametrize(("asked", "sent"), [(None, 512), (4_096, 512), (512, 512), (100, 100)])
def test_output_limits_are_lowered_and_never_raised(organization: Organization, asked: int | None, sent: int) -> None:
    rule_for(organization, Kind.TRIM_MAX_TOKENS, {"model": "openai/gpt-4", "maxTokens": 512})

    shaped = shape(organization.pk, CallTerms("openai", "gpt-4", asked, "complex", 100, 3))

    assert shaped.max_tokens == sent
    assert len(shaped.uses) == int(asked != sent)


@pytest.mark.parametrize(("asked", "expected"), [(3, 1), (1, 1), (0, 0)])
def test_retries_are_lowered_and_never_raised(organization: Organization, asked: int, expected: int) -> None:
    rule_for(organization, Kind.RETRY_WASTE, {"maxRetries": 1, "savedPerRequest": 5})

    assert shape(organization.pk, CallTerms("openai", "gpt-4", 1, "simple", 100, asked)).max_retries == expected


def test_low_priority_request_waits_for_off_peak_hours(
    organization: Organization, windows: dict[str, ModelPrice]
) -> None:
    rule = rule_for(organization, Kind.OFF_PEAK, {"model": "deepseek/deepseek-x"})

    shaped = shape(organization.pk, LOW, FRIDAY_NINE)

    assert shaped.not_before == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert shaped.uses == (Use(rule.pk, windows["peak"].pk),)


def test_only_low_priority_requests_wait_and_only_during_peak_hours(
    organization: Organization, windows: dict[str, ModelPrice]
) -> None:
    rule_for(organization, Kind.OFF_PEAK, {"model": "deepseek/deepseek-x"})
    normal = CallTerms("deepseek", "deepseek-x", None, "simple", 100, 3)

    assert shape(organization.pk, normal, FRIDAY_NINE) is normal
    assert shape(organization.pk, LOW, FRIDAY_NINE + timedelta(hours=1)) is LOW


def test_model_with_one_price_has_no_off_peak_hours() -> None:
    assert off_peak_begin("openai", "gpt-4", NOW) is None
    assert off_peak_begin("openai", "unknown", NOW) is None


USAGE = TokenUsage(input=1_001, output=333)
AT_GPT4, AT_DEEPSEEK = 20_000_000, 233_380


def sent_by(rule: OptimizationRule, rows: list[Attempt], price: ModelPrice) -> None:
    for row in rows:
        assert row.request_id
        record_uses(rule.organization_id, row.request_id, [Use(rule.pk, price.pk)])


def realised(rule: OptimizationRule, days: float, organization: Organization) -> RuleSavings:
    OptimizationRule.objects.filter(pk=rule.pk).update(starts_at=NOW - timedelta(days=days))
    count_rule_savings(organization.pk, NOW)
    rule.refresh_from_db()
    return RuleSavings(rule, rule.recommendation.monthly_nano)


def test_realized_savings_are_the_old_price_minus_the_cost_of_changed_requests(
    organization: Organization, traffic: Traffic
) -> None:
    rule = rule_for(organization, Kind.CHEAPER_MODEL, ROUTE)
    rows = traffic(60, days=5, usage=USAGE, provider="deepseek", model="deepseek-chat")
    traffic(60, days=5, usage=USAGE, provider="deepseek", model="deepseek-chat")  # requested by the clients themselves
    sent_by(rule, rows, plain_price("openai", "gpt-4"))

    result = realised(rule, 10, organization)

    assert result.requests == 60
    assert rule.saved_nano == 60 * (AT_GPT4 - AT_DEEPSEEK)
    assert result.monthly_nano == 3 * 60 * (AT_GPT4 - AT_DEEPSEEK)
    assert result.percent == round(100 * result.monthly_nano / 30_000_000_000)


def test_realized_savings_are_unknown_before_three_days(organization: Organization, traffic: Traffic) -> None:
    rule = rule_for(organization, Kind.CHEAPER_MODEL, ROUTE)

    assert realised(rule, 2.99, organization).monthly_nano is None
    assert realised(rule, 3, organization).monthly_nano == 0


def test_request_that_was_routed_and_delayed_is_counted_once(
    organization: Organization, traffic: Traffic, windows: dict[str, ModelPrice]
) -> None:
    route = rule_for(organization, Kind.CHEAPER_MODEL, {"model": "openai/gpt-4", "to": "deepseek/deepseek-x"})
    wait = rule_for(organization, Kind.OFF_PEAK, {"model": "deepseek/deepseek-x"})
    rows = traffic(10, usage=USAGE, provider="deepseek", model="deepseek-x", price=windows["off"])
    sent_by(route, rows, plain_price("openai", "gpt-4"))
    sent_by(wait, rows, windows["peak"])

    count_rule_savings(organization.pk, NOW)
    route.refresh_from_db()
    wait.refresh_from_db()

    off_peak = 1_001 * 1_000 + 333 * 2_000
    assert wait.saved_nano == 10 * off_peak  # peak costs twice as much
    assert route.saved_nano + wait.saved_nano == 10 * (AT_GPT4 - off_peak)


def test_realized_savings_of_fewer_retries_count_stopped_requests(organization: Organization, traffic: Traffic) -> None:
    rule = rule_for(organization, Kind.RETRY_WASTE, {"maxRetries": 1, "savedPerRequest": 7_000})
    rows = traffic(5, number=2, error_code="TIMEOUT") + traffic(4, number=2) + traffic(3, error_code="TIMEOUT")
    sent_by(rule, rows, plain_price("openai", "gpt-4"))

    realised(rule, 10, organization)

    assert (rule.changed_requests, rule.saved_nano) == (12, 5 * 7_000)


def test_nothing_is_recorded_without_a_matching_rule(organization: Organization) -> None:
    record_uses(organization.pk, uuid.uuid4(), ())

    assert not RuleUse.objects.exists()

"""Advice to use a cheaper model for simple requests."""

import pytest

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.models import CostPolicy, RecommendationKind, RequestClass
from tests.cost_app.recommendations.conftest import AdviceOf, Traffic, add_price, figures_of

KIND = RecommendationKind.CHEAPER_MODEL
USAGE = TokenUsage(input=1_001, output=333)
AT_GPT4 = 20_000_000
"""1,001 x $10 + 333 x $30 per million tokens, in nano-dollars."""
AT_DEEPSEEK = 233_380
"""1,001 x $0.14 + 333 x $0.28 per million tokens."""
AT_GPT35 = 1_000_000


def test_simple_requests_are_repriced_at_the_cheapest_allowed_model(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(400, usage=USAGE, request_class=RequestClass.SIMPLE)
    traffic(100, usage=USAGE, request_class=RequestClass.COMPLEX)

    (advice,) = advice_of(KIND)

    assert advice.subject == "openai/gpt-4"
    assert advice.rule_terms == {"model": "openai/gpt-4", "to": "deepseek/deepseek-chat"}
    assert advice.monthly_nano == 400 * (AT_GPT4 - AT_DEEPSEEK)
    assert advice.percent == 79  # of the cost of all 500 calls
    figures = figures_of(advice)
    assert figures["cost of simple requests"] == 400 * AT_GPT4
    assert figures["their cost at deepseek/deepseek-chat"] == 400 * AT_DEEPSEEK
    assert figures["their cost at openai/gpt-3.5-turbo"] == 400 * AT_GPT35


def test_monthly_saving_is_extrapolated_from_the_observed_days(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(400, days=10, usage=USAGE, request_class=RequestClass.SIMPLE)

    (advice,) = advice_of(KIND)

    assert advice.monthly_nano == 400 * (AT_GPT4 - AT_DEEPSEEK) * 30 // 10
    assert advice.evidence["sample"]["days"] == 10


@pytest.mark.parametrize(
    ("count", "days", "confidence"), [(1_000, 21, "high"), (999, 30, "medium"), (1_000, 14, "medium"), (299, 30, "low")]
)
def test_confidence_depends_on_calls_and_days(
    traffic: Traffic, advice_of: AdviceOf, count: int, days: int, confidence: str
) -> None:
    traffic(count, days=days, request_class=RequestClass.SIMPLE)

    assert advice_of(KIND)[0].confidence == confidence


def test_only_models_that_the_policy_allows_for_simple_requests_are_advised(
    traffic: Traffic, advice_of: AdviceOf, organization: Organization
) -> None:
    traffic(400, usage=USAGE, request_class=RequestClass.SIMPLE)
    allowed = [
        {"provider": "openai", "model": "gpt-3.5-turbo", "classes": ["simple"]},
        {"provider": "deepseek", "model": "deepseek-chat", "classes": ["creative"]},
    ]
    with system_scope():
        CostPolicy.objects.create(organization=organization, allowed_models=allowed)

    (advice,) = advice_of(KIND)

    assert advice.rule_terms["to"] == "openai/gpt-3.5-turbo"
    assert advice.monthly_nano == 400 * (AT_GPT4 - AT_GPT35)


def test_long_context_price_is_used_only_for_long_prompts(
    traffic: Traffic, advice_of: AdviceOf, organization: Organization
) -> None:
    add_price(
        "openai",
        "gpt-long",
        input=1_000_000_000,
        output=1_000_000_000,
        long_prompts=[
            {"above": 1_000, "input": 2_000_000_000, "cache_read": 0, "cache_write": 0, "output": 3_000_000_000}
        ],
    )
    with system_scope():
        CostPolicy.objects.create(
            organization=organization, allowed_models=[{"provider": "openai", "model": "gpt-long"}]
        )
    traffic(200, usage=TokenUsage(input=1_000, output=100), request_class=RequestClass.SIMPLE)
    traffic(200, usage=TokenUsage(input=1_001, output=100), request_class=RequestClass.SIMPLE)

    (advice,) = advice_of(KIND)

    short, long = 1_100_000, 1_001 * 2_000 + 100 * 3_000
    assert figures_of(advice)["their cost at openai/gpt-long"] == 200 * (short + long)


def test_fewer_than_100_calls_give_no_advice(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(99, request_class=RequestClass.SIMPLE, usage=TokenUsage(input=100_000, output=1_000))

    assert advice_of() == []


def test_less_than_seven_days_give_no_advice(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(400, days=6, request_class=RequestClass.SIMPLE)

    assert advice_of() == []


def test_saving_below_one_dollar_per_month_gives_no_advice(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(400, request_class=RequestClass.SIMPLE, usage=TokenUsage(input=100, output=20))

    assert advice_of() == []


def test_saving_below_one_percent_of_spending_gives_no_advice(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(400, usage=USAGE, request_class=RequestClass.SIMPLE)
    traffic(100, usage=TokenUsage(input=1_000_000, output=10_000), request_class=RequestClass.COMPLEX)

    assert advice_of(KIND) == []


def test_other_classes_and_the_cheapest_model_give_no_advice(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(400, request_class=RequestClass.CREATIVE)
    traffic(400, request_class=RequestClass.COMPLEX)
    traffic(40_000 // 100, provider="deepseek", model="deepseek-chat", request_class=RequestClass.SIMPLE)

    assert advice_of(KIND) == []


def test_calls_made_outside_aiinfra_give_no_advice(traffic: Traffic, advice_of: AdviceOf) -> None:
    traffic(400, request_class=RequestClass.SIMPLE, request_id=None, prompt_digest="same", priority=10)

    assert advice_of() == []


def test_calls_of_other_organizations_give_no_advice(
    traffic: Traffic, advice_of: AdviceOf, other_organization: Organization
) -> None:
    traffic(400, request_class=RequestClass.SIMPLE)

    assert advice_of(organization_id=other_organization.pk) == []

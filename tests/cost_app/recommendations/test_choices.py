"""Model selection for a request: downgrades, and the recommended provider."""

from datetime import timedelta

import pytest
from django.utils import timezone

from aiinfra.providers import breaker
from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from cost_app.models import Budget, CostPolicy, Dimension, ProviderLimit, RequestClass, UsageDay
from cost_app.recommendations.downgrade import cheapest_allowed
from cost_app.recommendations.provider_choice import Choice, NoModelError, get_optimal_provider
from tests.cost_app.recommendations.conftest import Traffic, add_price

GPT4, GPT35, DEEPSEEK = ("openai", "gpt-4"), ("openai", "gpt-3.5-turbo"), ("deepseek", "deepseek-chat")
HELLO = [{"role": "user", "content": "Hello"}]

pytestmark = pytest.mark.usefixtures("scope", "redis_url")


def allow(organization: Organization, *models: tuple[str, str], classes: list[str] | None = None) -> None:
    CostPolicy.objects.update_or_create(
        organization_id=organization.pk,
        defaults={
            "allowed_models": [
                {"provider": provider, "model": model, **({"classes": classes} if classes else {})}
                for provider, model in models
            ]
        },
    )


@pytest.fixture(autouse=True)
def _specification_models(organization: Organization, scope: None) -> None:
    allow(organization, GPT4, GPT35, DEEPSEEK)


def choose(organization: Organization, request_type: str = "simple", priority: str = "normal") -> Choice:
    return get_optimal_provider(organization.pk, request_type, priority)


def names(choice: Choice) -> list[str]:
    return [choice.best.model, *(each.model for each in choice.alternatives)]


def measure(organization: Organization, model: tuple[str, str], **sums: int) -> None:
    UsageDay.objects.create(
        organization_id=organization.pk,
        dimension=Dimension.MODEL,
        value="/".join(model),
        day=timezone.now().date() - timedelta(days=1),
        **sums,
    )


def test_downgrades_are_ordered_by_cost_and_never_more_expensive(organization: Organization) -> None:
    assert cheapest_allowed(organization.pk, RequestClass.SIMPLE, GPT4, HELLO, 100) == [DEEPSEEK, GPT35]
    assert cheapest_allowed(organization.pk, RequestClass.SIMPLE, DEEPSEEK, HELLO, 100) == []


def test_downgrades_are_limited_to_models_of_the_class(organization: Organization) -> None:
    allow(organization, GPT35, classes=["complex"])

    assert cheapest_allowed(organization.pk, RequestClass.SIMPLE, GPT4, HELLO, 100) == []
    assert cheapest_allowed(organization.pk, RequestClass.COMPLEX, GPT4, HELLO, 100) == [GPT35]


def test_downgrades_consider_prompt_and_output_length_of_the_call(organization: Organization) -> None:
    add_price("openai", "reads-cheap", input=1_000_000_000, output=9_000_000_000)
    add_price("openai", "writes-cheap", input=5_000_000_000, output=1_000_000_000)
    allow(organization, ("openai", "reads-cheap"), ("openai", "writes-cheap"))
    long = [{"role": "user", "content": "x" * 40_000}]

    assert cheapest_allowed(organization.pk, RequestClass.SIMPLE, GPT4, long, 10)[0][1] == "reads-cheap"
    assert cheapest_allowed(organization.pk, RequestClass.SIMPLE, GPT4, HELLO, 4_000)[0][1] == "writes-cheap"


def test_unpriced_model_has_no_downgrade(organization: Organization) -> None:
    assert cheapest_allowed(organization.pk, RequestClass.SIMPLE, ("openai", "unknown"), HELLO, 100) == []


def test_only_used_or_known_chat_models_are_named_without_a_policy(organization: Organization) -> None:
    CostPolicy.objects.update(allowed_models=[])
    add_price("openai", "never-used", input=1, output=1)
    add_price("openai", "used", input=2, output=2)
    add_price("openai", "embedding", input=1, output=0)
    measure(organization, ("openai", "used"), calls=1)
    measure(organization, ("openai", "embedding"), calls=1)

    found = {model for _, model in cheapest_allowed(organization.pk, RequestClass.SIMPLE, GPT4, HELLO, 100)}

    assert {"used", "deepseek-chat", "gpt-3.5-turbo", "claude-haiku-4-5"} <= found
    assert found.isdisjoint({"never-used", "embedding"})


def test_choice_without_traffic_lists_its_assumptions(organization: Organization) -> None:
    choice = choose(organization)

    assert choice.best.name == "deepseek/deepseek-chat"
    assert choice.best.cost_nano == 500 * 140 + 300 * 280
    assert {each.model: each.latency_ms for each in [choice.best, *choice.alternatives]} == {
        "deepseek-chat": 2_400,
        "gpt-4": 1_800,
        "gpt-3.5-turbo": 800,
    }
    assert [text.split(":")[0] for text in choice.assumed] == ["Tokens", "Latency", "Errors", "Circuits"]


@pytest.mark.parametrize(
    ("priority", "expected"), [("low", "deepseek-chat"), ("normal", "deepseek-chat"), ("critical", "gpt-3.5-turbo")]
)
def test_priority_determines_the_weight_of_latency(organization: Organization, priority: str, expected: str) -> None:
    assert choose(organization, priority=priority).best.model == expected


def test_token_counts_are_the_median_of_the_organization_s_class(organization: Organization, traffic: Traffic) -> None:
    traffic(21, usage=TokenUsage(input=100, cache_read=900, output=50), request_class="simple")
    traffic(40, usage=TokenUsage(input=9_000, output=9_000), request_class="complex")

    choice = choose(organization)

    assert choice.best.cost_nano == 1_000 * 140 + 50 * 280
    assert any("1000 in and 50 out" in text for text in choice.known)


def test_expected_latency_is_used_without_measurements(organization: Organization) -> None:
    ProviderLimit.objects.filter(provider="deepseek").update(expected_latency_ms=900)
    choice = get_optimal_provider(organization.pk, "simple")
    found = next(each for each in [choice.best, *choice.alternatives] if each.model == "deepseek-chat")
    assert (found.latency_ms, found.latency_is_measured) == (900, False)


def test_latency_and_errors_are_measured_from_traffic(organization: Organization) -> None:
    measure(organization, DEEPSEEK, calls=120, cache_hits=20, errors=5, latency_ms=100 * 700, timed_calls=100)

    best = choose(organization).best

    assert (best.latency_ms, best.latency_is_measured, best.error_rate) == (700, True, 0.05)


def test_too_few_calls_are_not_used_as_measurements(organization: Organization) -> None:
    measure(organization, DEEPSEEK, calls=19, errors=19, latency_ms=19, timed_calls=19)

    best = choose(organization).best

    assert (best.latency_ms, best.latency_is_measured, best.error_rate) == (2_400, False, None)


def test_model_with_a_high_error_rate_is_ranked_last(organization: Organization) -> None:
    measure(organization, DEEPSEEK, calls=100, errors=21)

    choice = choose(organization)

    assert names(choice) == ["gpt-3.5-turbo", "gpt-4", "deepseek-chat"]
    assert "21% of its calls failed" in choice.reasoning


def test_model_with_an_open_circuit_is_ranked_last(organization: Organization) -> None:
    for _ in range(10):
        breaker.record_failure(*DEEPSEEK)

    choice = choose(organization)

    assert names(choice)[-1] == "deepseek-chat"
    assert choice.alternatives[-1].problems == ("its circuit is open after repeated failures",)


def test_choice_works_without_redis(organization: Organization, settings: object) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # type: ignore[attr-defined]

    assert choose(organization).best.model == "deepseek-chat"


def test_model_with_an_exhausted_budget_is_ranked_last(organization: Organization) -> None:
    Budget.objects.create(
        organization_id=organization.pk,
        period="daily",
        scope="model",
        scope_value="deepseek/deepseek-chat",
        limit_nano=1,
        enforcement="block",
    )

    choice = choose(organization)

    assert names(choice)[-1] == "deepseek-chat"
    assert choice.alternatives[-1].problems == ("a budget has no room for the call",)


def test_warning_budget_does_not_affect_the_ranking(organization: Organization) -> None:
    Budget.objects.create(organization_id=organization.pk, period="daily", limit_nano=1, enforcement="warn")

    assert choose(organization).best.problems == ()


def test_complex_requests_do_not_go_to_the_cheapest_tier(organization: Organization) -> None:
    choice = choose(organization, "complex")

    assert "deepseek-chat" not in names(choice)
    assert "cheapest tier left out" in choice.reasoning


def test_complex_requests_can_use_a_cheap_model_named_by_the_policy(organization: Organization) -> None:
    allow(organization, DEEPSEEK, GPT4, classes=["complex"])

    assert choose(organization, "complex").best.model == "deepseek-chat"


def test_complex_requests_use_the_cheapest_tier_if_nothing_else_is_allowed(organization: Organization) -> None:
    allow(organization, DEEPSEEK)

    choice = choose(organization, "complex")

    assert choice.best.model == "deepseek-chat"
    assert "Every allowed model is of the cheapest tier" in choice.reasoning


def test_a_missing_allowed_model_is_explained(organization: Organization) -> None:
    allow(organization, ("nobody", "nothing"))

    with pytest.raises(NoModelError):
        choose(organization)


@pytest.mark.parametrize(("request_type", "priority"), [("odd", "normal"), ("simple", "odd")])
def test_unknown_values_are_rejected(organization: Organization, request_type: str, priority: str) -> None:
    with pytest.raises(ValueError, match="odd"):
        choose(organization, request_type, priority)


def test_query_count_is_limited(
    organization: Organization, traffic: Traffic, django_assert_max_num_queries: object
) -> None:
    traffic(200, request_class="simple")
    with django_assert_max_num_queries(14):  # type: ignore[operator]
        choose(organization)

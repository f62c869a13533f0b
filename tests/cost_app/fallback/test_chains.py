"""The effective fallback chain of a model, and how default chains are derived."""

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from aiinfra.providers.models import FallbackOptOut, FallbackRoute
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import NoOrganizationError, organization_scope
from cost_app.fallback.chains import (
    DEFAULT_STEPS,
    PRICE_DECREASE_MAX,
    PRICE_INCREASE_MAX,
    Source,
    effective_chain,
    effective_chains,
    fallback_chain,
)
from cost_app.models import CostPolicy, ModelPrice
from cost_app.prices.lookup import price_of
from cost_app.prices.shipped import SHIPPED_PRICES
from cost_app.recommendations.pricing import weight_of

DOLLAR = 1_000_000_000


@pytest.fixture(autouse=True)
def all_providers(settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "k", "deepseek": "k", "anthropic": "k"}


def route(organization: Organization, position: int, to_provider: str, to_model: str) -> None:
    FallbackRoute(
        organization=organization,
        provider="openai",
        model="gpt-4",
        position=position,
        to_provider=to_provider,
        to_model=to_model,
    ).save()


def price(provider: str, model: str, dollars: int, output: int | None = None) -> None:
    amounts = dict.fromkeys(("input", "cache_read", "cache_write"), dollars * DOLLAR)
    answer = (dollars if output is None else output) * DOLLAR
    ModelPrice.objects.create(provider=provider, model=model, source="test", output=answer, **amounts)


def allow(organization: Organization, *models: tuple[str, str], classes: tuple[str, ...] = ()) -> None:
    entries = [{"provider": provider, "model": model, "classes": list(classes)} for provider, model in models]
    with organization_scope(organization.pk):
        CostPolicy.objects.update_or_create(organization=organization, defaults={"allowed_models": entries})


def chain(organization: Organization, provider: str = "openai", model: str = "gpt-4") -> list[str]:
    with organization_scope(organization.pk):
        return ["/".join(step) for step in fallback_chain(organization.pk, provider, model)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("openai/gpt-4", ["anthropic/claude-haiku-4-5", "deepseek/deepseek-v4-pro"]),
        ("openai/gpt-3.5-turbo", ["deepseek/deepseek-flash", "anthropic/claude-haiku-4-5"]),
        ("anthropic/claude-haiku-4-5", ["deepseek/deepseek-v4-pro", "openai/gpt-3.5-turbo"]),
        ("deepseek/deepseek-chat", ["openai/gpt-3.5-turbo", "deepseek/deepseek-flash"]),
    ],
)
def test_a_new_installation_falls_back_to_the_closest_model_of_each_other_provider(
    organization: Organization, asked: str, expected: list[str]
) -> None:
    assert chain(organization, *asked.split("/")) == expected


def test_every_shipped_chat_model_has_a_default_chain(organization: Organization) -> None:
    chat = {(each.provider, each.model) for each in SHIPPED_PRICES if "embedding" not in each.model}
    assert [model for model in sorted(chat) if not chain(organization, *model)] == []


def test_default_steps_stay_within_the_documented_price_range(organization: Organization) -> None:
    with organization_scope(organization.pk):
        found = effective_chains(organization.pk)
    assert len(found) > 5
    for each in found:
        assert len(each.steps) <= DEFAULT_STEPS
        for step in each.steps:
            assert step.price_percent is not None
            assert 100 // PRICE_DECREASE_MAX <= step.price_percent <= 100 * PRICE_INCREASE_MAX
            assert "embedding" not in step.model


def test_an_economy_model_never_replaces_a_more_expensive_one(organization: Organization) -> None:
    allow(organization, ("openai", "gpt-3.5-turbo"), ("deepseek", "deepseek-chat"))
    assert weight_of(price_of("openai", "gpt-3.5-turbo")) < PRICE_DECREASE_MAX * weight_of(
        price_of("deepseek", "deepseek-chat")
    )
    assert chain(organization, "openai", "gpt-3.5-turbo") == []
    assert chain(organization, "deepseek", "deepseek-chat") == ["openai/gpt-3.5-turbo"]


def test_price_range_includes_its_bounds(organization: Organization) -> None:
    price("openai", "asked", 10)
    price("anthropic", "five-times", 10 * PRICE_INCREASE_MAX)
    price("anthropic", "dearer", 10 * PRICE_INCREASE_MAX + 1)
    price("deepseek", "a-tenth", 1)
    names = [("openai", "asked"), ("anthropic", "five-times"), ("anthropic", "dearer"), ("deepseek", "a-tenth")]
    allow(organization, *names)
    assert chain(organization, "openai", "asked") == ["anthropic/five-times", "deepseek/a-tenth"]
    allow(organization, names[0], names[2])
    assert chain(organization, "openai", "asked") == []


def test_the_provider_s_own_models_come_last_even_at_the_same_price(organization: Organization) -> None:
    price("openai", "asked", 10)
    price("openai", "twin", 10)
    price("anthropic", "other", 20)
    allow(organization, ("openai", "asked"), ("openai", "twin"), ("anthropic", "other"))
    assert chain(organization, "openai", "asked") == ["anthropic/other", "openai/twin"]


def test_default_steps_are_models_that_the_policy_allows_for_the_same_classes(organization: Organization) -> None:
    models = [("openai", "gpt-4"), ("deepseek", "deepseek-v4-pro")]
    allow(organization, *models, classes=("simple",))
    assert chain(organization) == ["deepseek/deepseek-v4-pro"]
    with organization_scope(organization.pk):
        policy = CostPolicy.objects.get()
        policy.allowed_models[0]["classes"] = ["simple", "complex"]
        policy.save()
    assert chain(organization) == []


def test_provider_without_a_key_is_not_a_default_step(organization: Organization, settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "k", "deepseek": "k", "anthropic": ""}
    assert chain(organization) == ["deepseek/deepseek-v4-pro"]


def test_embedding_and_unpriced_models_have_no_default_chain(organization: Organization) -> None:
    assert chain(organization, "openai", "text-embedding-3-small") == []
    assert chain(organization, "openai", "unheard-of") == []


def test_defaults_can_be_turned_off_per_model_and_for_the_organization(organization: Organization) -> None:
    FallbackOptOut(organization=organization, provider="openai", model="gpt-4").save()
    assert chain(organization) == []
    assert chain(organization, "openai", "gpt-3.5-turbo") != []
    FallbackOptOut(organization=organization).save()
    assert chain(organization, "openai", "gpt-3.5-turbo") == []
    route(organization, 1, "deepseek", "deepseek-chat")
    assert chain(organization) == ["deepseek/deepseek-chat"], "a custom chain does not depend on defaults"


def test_steps_are_ordered_and_limited_to_configured_providers(organization: Organization, settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "k", "deepseek": "k", "anthropic": ""}
    route(organization, 3, "deepseek", "deepseek-chat")
    route(organization, 1, "anthropic", "claude-haiku-4-5")
    route(organization, 2, "openai", "gpt-3.5-turbo")
    assert chain(organization) == ["openai/gpt-3.5-turbo", "deepseek/deepseek-chat"]


def test_step_without_a_current_price_is_skipped_with_a_reason(organization: Organization) -> None:
    route(organization, 1, "deepseek", "deepseek-chat")
    route(organization, 2, "openai", "gpt-3.5-turbo")
    ModelPrice.objects.filter(model="deepseek-chat").update(effective_to=timezone.now())
    assert chain(organization) == ["openai/gpt-3.5-turbo"]
    with organization_scope(organization.pk):
        steps = effective_chain(organization.pk, "openai", "gpt-4").steps
    assert [step.problem for step in steps] == ["no price in the price book", ""]


def test_free_model_can_be_a_step(organization: Organization, settings: Settings) -> None:
    settings.COMPATIBLE_PROVIDERS = {"vllm": "http://127.0.0.1:9/v1"}
    price("vllm", "local", 0)
    route(organization, 1, "vllm", "local")
    assert chain(organization) == ["vllm/local"]
    assert chain(organization, "vllm", "local") == []


def test_a_step_to_the_requested_model_or_a_repeated_step_is_skipped(organization: Organization) -> None:
    route(organization, 1, "openai", "gpt-4")
    route(organization, 2, "deepseek", "deepseek-chat")
    route(organization, 3, "deepseek", "deepseek-chat")
    assert chain(organization) == ["deepseek/deepseek-chat"]


def test_chains_of_other_organizations_do_not_apply(
    organization: Organization, other_organization: Organization
) -> None:
    route(organization, 1, "deepseek", "deepseek-chat")
    with organization_scope(other_organization.pk):
        assert effective_chain(organization.pk, "openai", "gpt-4").source == Source.DEFAULT
    with pytest.raises(NoOrganizationError):
        fallback_chain(organization.pk, "openai", "gpt-4")


def test_query_count_does_not_depend_on_the_size_of_the_price_book(
    organization: Organization, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(50):
        price("openai", f"model-{number}", 10)
    with django_assert_num_queries(6):  # one for aliases, which are cached for five seconds
        chain(organization)
    route(organization, 1, "deepseek", "deepseek-chat")
    with django_assert_num_queries(3):
        chain(organization)

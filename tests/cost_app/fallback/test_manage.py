"""Validation of fallback chains, and changes to them."""

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.providers.models import FallbackRoute
from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.fallback.chains import Source, effective_chain
from cost_app.fallback.manage import ChainChangedError, ChainError, restore_default, set_chain, use_defaults
from cost_app.models import ModelPrice

GPT4, TURBO = ("openai", "gpt-4"), ("openai", "gpt-3.5-turbo")
CHAT, PRO, HAIKU = ("deepseek", "deepseek-chat"), ("deepseek", "deepseek-v4-pro"), ("anthropic", "claude-haiku-4-5")
ACTOR = "command:test"


@pytest.fixture(autouse=True)
def scope(organization: Organization, settings: Settings) -> object:
    settings.PROVIDER_API_KEYS = {"openai": "k", "deepseek": "k", "anthropic": "k"}
    with organization_scope(organization.pk):
        yield


def steps_of(organization: Organization) -> list[tuple[str, str]]:
    return [(step.provider, step.model) for step in effective_chain(organization.pk, *GPT4).steps]


def save(organization: Organization, *steps: tuple[str, str], seen: str = "") -> None:
    set_chain(organization_id=organization.pk, asked=GPT4, steps=steps, actor=ACTOR, seen=seen)


def test_a_chain_keeps_its_order_and_its_positions_are_contiguous(organization: Organization) -> None:
    save(organization, TURBO, CHAT, HAIKU)
    save(organization, HAIKU, TURBO)
    assert steps_of(organization) == [HAIKU, TURBO]
    assert list(FallbackRoute.objects.order_by("position").values_list("position", flat=True)) == [1, 2]


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([GPT4], "openai/gpt-4 can't fall back to itself."),
        ([CHAT, CHAT], "deepseek/deepseek-chat is already in the chain."),
        ([("mistral", "large")], "The provider mistral is not configured."),
        ([("openai", "gpt-99")], "openai/gpt-99 is not in the price book, or not a chat model."),
        ([("openai", "text-embedding-3-small")], "text-embedding-3-small is not in the price book, or not a chat"),
        ([TURBO, CHAT, PRO, HAIKU, ("a", "b"), ("c", "d")], "A chain has at most 5 steps."),
    ],
)
def test_an_invalid_chain_is_refused(organization: Organization, steps: list[tuple[str, str]], text: str) -> None:
    with pytest.raises(ChainError, match=text.replace(".", r"\.")):
        save(organization, *steps)
    assert not FallbackRoute.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_chain_for_an_unknown_model_is_refused(organization: Organization) -> None:
    with pytest.raises(ChainError, match="openai/gpt-99 is not in the price book"):
        set_chain(organization_id=organization.pk, asked=("openai", "gpt-99"), steps=[CHAT], actor=ACTOR)


def test_step_without_a_price_can_stay_but_cannot_be_added(organization: Organization) -> None:
    save(organization, CHAT, TURBO)
    ModelPrice.objects.filter(model="deepseek-chat").update(effective_to=timezone.now())
    save(organization, TURBO, CHAT)
    save(organization, TURBO)
    with pytest.raises(ChainError):
        save(organization, TURBO, CHAT)


def test_empty_chain_turns_the_fallback_off_and_the_default_can_be_restored(organization: Organization) -> None:
    default = steps_of(organization)
    save(organization)
    assert effective_chain(organization.pk, *GPT4).source == Source.OFF
    restore_default(organization_id=organization.pk, asked=GPT4, actor=ACTOR)
    assert steps_of(organization) == default != []


def test_two_chains_can_reference_each_other(organization: Organization) -> None:
    save(organization, TURBO)
    set_chain(organization_id=organization.pk, asked=TURBO, steps=[GPT4], actor=ACTOR)
    assert steps_of(organization) == [TURBO]


def test_a_stale_chain_edit_changes_nothing(organization: Organization) -> None:
    seen = effective_chain(organization.pk, *GPT4).version
    save(organization, TURBO, seen=seen)
    with pytest.raises(ChainChangedError):
        save(organization, CHAT, seen=seen)
    with pytest.raises(ChainChangedError):
        restore_default(organization_id=organization.pk, asked=GPT4, actor=ACTOR, seen=seen)
    assert steps_of(organization) == [TURBO]


def test_only_real_changes_are_audited(organization: Organization) -> None:
    save(organization, TURBO)
    save(organization, TURBO)
    use_defaults(organization_id=organization.pk, enabled=False, actor=ACTOR)
    use_defaults(organization_id=organization.pk, enabled=False, actor=ACTOR)
    chain, defaults = AuditEvent.objects.order_by("at", "id")
    assert (chain.verb, chain.target, chain.actor) == ("fallback.changed", "openai/gpt-4", ACTOR)
    assert chain.changes["source"] == ["default", "custom"]
    assert chain.changes["steps"][1] == ["openai/gpt-3.5-turbo"]
    assert (defaults.verb, defaults.changes) == ("fallback.defaults_changed", {"enabled": [True, False]})


def test_without_defaults_only_custom_chains_apply(organization: Organization) -> None:
    use_defaults(organization_id=organization.pk, enabled=False, actor=ACTOR)
    assert effective_chain(organization.pk, *GPT4).source == Source.OFF
    save(organization, TURBO)
    assert steps_of(organization) == [TURBO]
    use_defaults(organization_id=organization.pk, enabled=True, actor=ACTOR)
    assert effective_chain(organization.pk, *HAIKU).source == Source.DEFAULT

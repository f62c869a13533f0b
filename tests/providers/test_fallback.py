"""Fallback chains of an organization."""

import pytest
from pytest_django.fixtures import Settings

from aiinfra.providers.fallback import fallback_chain
from aiinfra.providers.models import FallbackRoute
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import NoOrganizationError, organization_scope

pytestmark = pytest.mark.django_db


def route(organization: Organization, position: int, to_provider: str, to_model: str) -> None:
    FallbackRoute(
        organization=organization,
        provider="openai",
        model="gpt-4",
        position=position,
        to_provider=to_provider,
        to_model=to_model,
    ).save()


@pytest.fixture
def acme() -> Organization:
    return Organization.objects.create(slug="acme", name="Acme")


def test_the_steps_come_in_order_and_only_of_configured_providers(acme: Organization, settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "k", "deepseek": "k", "anthropic": ""}
    route(acme, 3, "deepseek", "deepseek-chat")
    route(acme, 1, "anthropic", "claude")
    route(acme, 2, "openai", "gpt-3.5-turbo")
    with organization_scope(acme.id):
        assert fallback_chain(acme.id, "openai", "gpt-4") == [
            ("openai", "gpt-3.5-turbo"),
            ("deepseek", "deepseek-chat"),
        ]


def test_a_step_back_to_the_start_or_twice_to_one_place_is_left_out(acme: Organization) -> None:
    route(acme, 1, "openai", "gpt-4")
    route(acme, 2, "deepseek", "deepseek-chat")
    route(acme, 3, "deepseek", "deepseek-chat")
    with organization_scope(acme.id):
        assert fallback_chain(acme.id, "openai", "gpt-4") == [("deepseek", "deepseek-chat")]


def test_another_organization_s_chain_is_not_seen(acme: Organization) -> None:
    route(acme, 1, "deepseek", "deepseek-chat")
    stranger = Organization.objects.create(slug="stranger", name="Stranger")
    with organization_scope(stranger.id):
        assert fallback_chain(stranger.id, "openai", "gpt-4") == []
        assert fallback_chain(acme.id, "openai", "gpt-4") == []
    with pytest.raises(NoOrganizationError):
        fallback_chain(acme.id, "openai", "gpt-4")

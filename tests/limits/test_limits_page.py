"""The page that edits the limits of a key."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.key_access import KeyAccess
from aiinfra.tenants.key_limits import KeyLimits, networks_of
from aiinfra.tenants.models import ApiKey, Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


FORM = {
    "requests_per_minute": "100",
    "concurrent_requests": "5",
    "tokens_per_minute": "20000",
    "dollars_per_minute": "0.25",
    "allowed_networks": "203.0.113.7, 10.0.0.0/8",
    "allowed_models": "gpt-4o, deepseek/*",
    "allowed_doors": ["chat", "responses"],
    "default_tags": "team-a, web shop",
    "default_priority": "low",
}
ACCESS = KeyAccess(("gpt-4o", "deepseek/*"), ("chat", "responses"), ("team-a", "web shop"), "low")
CHOSEN = KeyLimits(100, 5, 20_000, 250_000_000, networks_of(["203.0.113.7", "10.0.0.0/8"]), ACCESS)


def test_an_admin_edits_the_limits_of_a_key(
    admin: User, organization: Organization, client_of: Callable[[User], Client]
) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    client, address = client_of(admin), reverse("key_limits", args=[key.key_id])
    assert "Allowed addresses" in client.get(address).text
    assert client.post(address, FORM).status_code == 302
    assert _stored(key) == CHOSEN
    page = client.get(address).text
    assert 'value="0.25' in page
    assert "203.0.113.7/32, 10.0.0.0/8" in page
    assert client.post(address, {}).status_code == 302
    assert _stored(key) == KeyLimits()


@pytest.mark.parametrize(
    "wrong",
    [
        {"requests_per_minute": "0"},
        {"tokens_per_minute": "-1"},
        {"dollars_per_minute": "nan"},
        {"allowed_networks": "example.com"},
        {"allowed_models": "a[b"},
        {"allowed_doors": ["v1"]},
        {"default_tags": "x" * 65},
        {"default_priority": "urgent"},
        {"allowed_networks": "10.0.0.1/8"},
        {"allowed_networks": ", ".join(f"10.0.0.{number}" for number in range(51))},
    ],
    ids=str,
)
def test_an_invalid_limit_is_refused_with_its_field(
    admin: User, organization: Organization, client_of: Callable[[User], Client], wrong: dict[str, Any]
) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    response = client_of(admin).post(reverse("key_limits", args=[key.key_id]), wrong)
    assert response.status_code == 422
    assert list(response.context["form"].errors) == list(wrong)
    assert _stored(key) == KeyLimits()


def test_a_new_key_can_have_limits_and_a_rotated_key_keeps_them(
    admin: User, organization: Organization, client_of: Callable[[User], Client]
) -> None:
    client = client_of(admin)
    assert client.post(reverse("key_create"), {"name": "bot", "role": "operator", **FORM}).status_code == 302
    with organization_scope(organization.pk):
        (key,) = ApiKey.objects.all()
    assert _stored(key) == CHOSEN
    client.post(reverse("key_rotate", args=[key.key_id]), {"overlap": "0"})
    with organization_scope(organization.pk):
        assert [_stored(each) for each in ApiKey.objects.all()] == [CHOSEN, CHOSEN]


def _stored(key: ApiKey) -> KeyLimits:
    with system_scope():
        return ApiKey.objects.get(pk=key.pk).limits


def test_a_webhook_can_be_replaced_and_removed_and_is_never_shown(
    admin: User, organization: Organization, client_of: Callable[[User], Client]
) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    client, address = client_of(admin), reverse("key_limits", args=[key.key_id])
    assert "Remove the webhook" not in client.get(address).text
    url = "https://hooks.example.com/secret-part"
    assert client.post(address, {"webhook": url}).status_code == 302
    page = client.get(address).text
    assert "hooks.example.com" in page and "Remove the webhook" in page and "secret-part" not in page
    assert client.post(address, {"requests_per_minute": "5"}).status_code == 302
    assert _stored(key) == KeyLimits(5, access=KeyAccess(webhook=url))
    assert client.post(address, {"without_webhook": "on"}).status_code == 302
    assert _stored(key) == KeyLimits()
    for url in ("http://x.example/", "https://10.0.0.1/"):
        assert list(client.post(address, {"webhook": url}).context["form"].errors) == ["webhook"]

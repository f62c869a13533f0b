"""Changing the limits, addresses, and expiry of API keys through the API."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.names import HIDDEN_CHARACTER
from aiinfra.openapi import document
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope
from tests.api.support import KEYS, QUEUE, Caller, new_key, refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]

Change = Callable[..., Any]


@pytest.fixture
def admin_key(organization: Organization) -> str:
    return new_key(organization, Role.ADMIN, ["key:limit", "queue:read"])


@pytest.fixture
def change(admin_key: str) -> Change:
    """Sends a change with the admin key."""
    return lambda action, text, **fields: Caller(key=admin_key).post(
        KEYS, {"action": action, "keyId": text.split("_")[1], **fields}
    )


def test_limits_are_replaced_and_apply(organization: Organization, change: Change) -> None:
    text = new_key(organization, Role.VIEWER)
    everything = {
        "requestsPerMinute": 1,
        "concurrentRequests": 2,
        "tokensPerMinute": 3,
        "dollarsPerMinute": "0.500000001",
        "allowedNetworks": ["127.0.0.1", "10.0.0.0/8"],
    }
    shown = json.loads(change("set-limits", text, **everything).content)
    assert shown["dollarsPerMinute"] == "0.500000001"
    assert shown["allowedNetworks"] == ["127.0.0.1/32", "10.0.0.0/8"]
    caller = Caller(key=text)
    assert [caller.get(QUEUE, action="stats").status_code for _ in range(2)] == [200, 429]
    shown = json.loads(change("set-limits", text, allowedNetworks=["192.0.2.0/24"]).content)
    assert (shown["requestsPerMinute"], shown["dollarsPerMinute"]) == (None, None)
    assert refused(caller.get(QUEUE, action="stats"), 403)["type"] == "address_not_allowed"
    change("set-limits", text)
    assert caller.get(QUEUE, action="stats").status_code == 200
    with organization_scope(organization.pk):
        assert AuditEvent.objects.filter(verb="api_key.limits_changed").count() == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("requestsPerMinute", 0),
        ("tokensPerMinute", 10**13),
        ("dollarsPerMinute", "0"),
        ("dollarsPerMinute", "0.0000000001"),
        ("dollarsPerMinute", 1.5),
        ("allowedNetworks", ["10.0.0.1/8"]),
        ("allowedNetworks", ["x"]),
        ("allowedNetworks", ["10.0.0.0/8"] * 51),
        ("keyId", "x"),
    ],
)
def test_invalid_values_are_refused_with_their_field(
    organization: Organization, change: Change, field: str, value: object
) -> None:
    response = change("set-limits", new_key(organization, Role.VIEWER), **{field: value})
    assert refused(response, 400)["param"].startswith(field)


def test_an_expiry_can_be_set_and_removed(organization: Organization, change: Change) -> None:
    text = new_key(organization, Role.VIEWER)
    shown = json.loads(change("set-expiry", text, expiresAt="2099-01-31T00:00:00Z").content)
    assert shown["expiresAt"].startswith("2099-01-31")
    assert json.loads(change("set-expiry", text, expiresAt=None).content)["expiresAt"] is None
    assert refused(change("set-expiry", text, expiresAt="2001-01-01T00:00:00Z"), 400)["param"] == "expiresAt"
    assert refused(change("set-expiry", text), 400)["param"] == "expiresAt"
    for wrong in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2099-01-31T00:00:00", "x"):
        assert refused(change("set-expiry", text, expiresAt=wrong), 400)["param"] == "expiresAt"


def test_expired_revoked_and_replaced_keys_cannot_be_reactivated(organization: Organization, change: Change) -> None:
    ended = {}
    for column in ("expires_at", "revoked_at"):
        ended[column] = new_key(organization, Role.VIEWER)
        with organization_scope(organization.pk):
            ApiKey.objects.filter(key_id=ended[column].split("_")[1]).update(**{column: timezone.now()})
    replaced = new_key(organization, Role.VIEWER)
    with organization_scope(organization.pk):
        key = ApiKey.objects.get(key_id=replaced.split("_")[1])
        keys.rotate_key(key=key, overlap=timedelta(hours=1), actor="command:test")
    for text in (*ended.values(), replaced):
        assert change("set-expiry", text, expiresAt=None).status_code == 400


def test_a_key_cannot_change_itself_or_keys_it_replaced(
    organization: Organization, admin_key: str, change: Change
) -> None:
    with organization_scope(organization.pk):
        key = ApiKey.objects.get(key_id=admin_key.split("_")[1])
        _, successor = keys.rotate_key(key=key, overlap=timedelta(hours=1), actor="command:test")
    for text in (admin_key, successor):
        assert change("set-limits", text).status_code == 403
        assert change("set-expiry", text, expiresAt=None).status_code == 403


def test_a_key_with_more_permissions_cannot_be_changed(organization: Organization, change: Change) -> None:
    owner = new_key(organization, Role.OWNER)
    assert change("set-limits", owner).status_code == 403
    assert change("set-expiry", owner, expiresAt=None).status_code == 403


def test_lists_are_paginated_and_contain_no_secrets(
    organization: Organization, admin_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiinfra.tenants.keys_api.PAGE_SIZE", 2)
    texts = [admin_key, *(new_key(organization, Role.VIEWER) for _ in range(2))]
    caller, seen, cursor = Caller(key=admin_key), [], ""
    while cursor is not None:
        response = caller.get(KEYS, action="list", cursor=cursor)
        assert not [text for text in texts if text.split("_")[2] in response.text]
        page = json.loads(response.content)
        seen += [key["keyId"] for key in page["keys"]]
        cursor = page["nextCursor"]
    assert seen == [text.split("_")[1] for text in reversed(texts)]
    assert refused(caller.get(KEYS, action="list", cursor="x"), 400)["param"] == "cursor"


ACCESS = {
    "allowedModels": ["deepseek-chat", "openai/*"],
    "allowedEndpoints": ["chat", "chat_completions"],
    "defaultTags": ["team-a"],
    "defaultPriority": "low",
}


def test_access_is_replaced_and_keeps_the_limits(organization: Organization, change: Change) -> None:
    text = new_key(organization, Role.OPERATOR)
    change("set-limits", text, requestsPerMinute=100)
    shown = json.loads(change("set-access", text, **ACCESS).content)
    assert {name: shown[name] for name in ACCESS} == ACCESS
    assert shown["requestsPerMinute"] == 100
    assert json.loads(change("set-limits", text).content)["allowedModels"] == ACCESS["allowedModels"]
    shown = json.loads(change("set-access", text, defaultPriority="normal").content)
    assert (shown["allowedModels"], shown["allowedEndpoints"], shown["defaultPriority"]) == ([], [], None)
    with organization_scope(organization.pk):
        [_, given, *_] = AuditEvent.objects.filter(verb="api_key.limits_changed").order_by("at")
    assert given.changes["allowed_models"] == [[], ACCESS["allowedModels"]]
    assert given.changes["default_priority"] == [None, "low"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("allowedModels", ["two words"]),
        ("allowedModels", ["a[b"]),
        ("allowedModels", [""]),
        ("allowedModels", ["x" * 162]),
        ("allowedModels", ["x"] * 101),
        ("allowedModels", "gpt-4o"),
        ("allowedEndpoints", ["v1"]),
        ("defaultTags", ["a,b"]),
        ("defaultTags", [" "]),
        ("defaultTags", ["x" * 65]),
        ("defaultTags", ["x"] * 11),
        ("defaultPriority", "urgent"),
    ],
)
def test_invalid_access_is_refused_with_its_field(
    organization: Organization, change: Change, field: str, value: object
) -> None:
    response = change("set-access", new_key(organization, Role.VIEWER), **{field: value})
    assert refused(response, 400)["param"].startswith(field)


@pytest.mark.parametrize(
    "character", ["\u202e", "\u200b", "\u3164", "\x7f", "\U000e0041", "\u200d", "é", " ", "\U0001f333"]
)
def test_the_openapi_document_specifies_allowed_tag_characters(
    organization: Organization, change: Change, character: str
) -> None:
    schema = document()["components"]["schemas"]["KeyAccessIn"]["properties"]["defaultTags"]["items"]
    patterns = [schema["pattern"], *(each["pattern"] for each in schema["allOf"])]
    tag = f"on{character}call"
    response = change("set-access", new_key(organization, Role.VIEWER), defaultTags=[tag])
    assert response.status_code == (200 if all(re.search(each, tag) for each in patterns) else 400)
    assert response.status_code == (400 if HIDDEN_CHARACTER.search(tag) else 200)


def test_a_webhook_is_kept_and_shown_only_by_its_host(organization: Organization, change: Change) -> None:
    text = new_key(organization, Role.OPERATOR)
    first, second = (f"https://hooks.example.com/secret-{number}" for number in (1, 2))
    for url in (first, second):
        assert json.loads(change("set-webhook", text, url=url).content)["webhookHost"] == "hooks.example.com"
    assert json.loads(change("set-access", text).content)["webhookHost"] == "hooks.example.com"
    assert json.loads(change("set-limits", text).content)["webhookHost"] == "hooks.example.com"
    with organization_scope(organization.pk):
        key = ApiKey.objects.get(key_id=text.split("_")[1])
        assert key.limits.access.webhook == second
        successor, _ = keys.rotate_key(key=key, overlap=timedelta(0), actor="command:test")
        assert ApiKey.objects.get(pk=successor.pk).limits.access.webhook == second
        changes = [each.changes for each in AuditEvent.objects.filter(verb="api_key.limits_changed").order_by("at")]
    assert changes == [{"webhook_host": [None, "hooks.example.com"]}, {"webhook_host": ["hooks.example.com"] * 2}]
    assert json.loads(change("set-webhook", text, url=None).content)["webhookHost"] is None


@pytest.mark.parametrize("url", ["http://example.com/", "https://u:p@example.com/", "https://0x7f.1/", "nothing", 5])
def test_an_invalid_webhook_is_refused(organization: Organization, change: Change, url: object) -> None:
    refused(change("set-webhook", new_key(organization, Role.VIEWER), url=url), 400, "url")


def test_a_webhook_that_cannot_be_decrypted_is_kept(
    organization: Organization, change: Change, settings: Settings
) -> None:
    text = new_key(organization, Role.OPERATOR)
    change("set-webhook", text, url="https://hooks.example.com/")
    right, settings.SECRET_KEY = settings.SECRET_KEY, "another" * 10
    assert json.loads(change("set-limits", text, requestsPerMinute=5).content)["webhookHost"] is None
    settings.SECRET_KEY = right
    with organization_scope(organization.pk):
        key = ApiKey.objects.get(key_id=text.split("_")[1])
    assert (key.requests_per_minute, key.webhook) == (5, "https://hooks.example.com/")

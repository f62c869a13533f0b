"""A key's webhook signing secret: created, replaced, and removed on its page and through the API, and shown once."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from aiinfra.signing_secrets import PREFIX
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, AuditEvent, OnceAnswer, Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope
from tests.api.support import KEYS, Caller, new_key, refused
from tests.tenants.made_keys import make, stored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]

ClientOf = Callable[[User], Client]
Change = Callable[..., Any]


@pytest.fixture
def change(organization: Organization) -> Change:
    """Sends a change of a key with an admin key."""
    admin_key = new_key(organization, Role.ADMIN, ["key:limit"])

    def send(action: str, text: str, **headers: str) -> Any:
        return Caller(key=admin_key).post(KEYS, {"action": action, "keyId": text.split("_")[1]}, **headers)

    return send


def rotated(change: Change, text: str) -> str:
    """Rotate the key's secret and return the new one."""
    return str(json.loads(change("rotate-webhook-secret", text).content)["webhookSecret"])


def secret_of(text: str) -> str | None:
    with system_scope():
        secret: str | None = ApiKey.objects.get(key_id=text.split("_")[1]).webhook_secret
    return secret


def verbs() -> list[str]:
    with system_scope():
        return list(AuditEvent.objects.filter(verb__contains="webhook").order_by("at").values_list("verb", flat=True))


def test_the_page_creates_replaces_and_removes_a_secret_and_shows_it_once(
    admin: User, organization: Organization, client_of: ClientOf
) -> None:
    key, _ = make(organization)
    client, address = client_of(admin), reverse("key_limits", args=[key.key_id])
    assert "Create one for this key" in client.get(address).text
    secrets: list[str] = []
    for _ in range(2):
        page = client.post(address, {"webhook_secret": "new"}, follow=True).text
        secrets.append(str(stored(key).webhook_secret))
        assert secrets[-1].startswith(PREFIX) and secrets[-1] in page
        assert "Signing secret for webhooks of bot created" in " ".join(page.split())
        for path in (reverse("keys"), address):
            assert PREFIX not in client.get(path).text
    assert secrets[0] != secrets[1]
    assert client.post(address, {"requests_per_minute": "5"}).status_code == 302
    assert stored(key).webhook_secret == secrets[1]
    assert "Signing secret of bot removed" in client.post(address, {"webhook_secret": "none"}, follow=True).text
    assert stored(key).webhook_secret is None
    assert verbs() == ["api_key.webhook_secret_rotated"] * 2 + ["api_key.webhook_secret_removed"]


def test_an_invalid_choice_is_refused_with_its_field(
    admin: User, organization: Organization, client_of: ClientOf
) -> None:
    key, _ = make(organization)
    address = reverse("key_limits", args=[key.key_id])
    for choice in ("none", "whsec_own"):
        response = client_of(admin).post(address, {"webhook_secret": choice})
        assert (response.status_code, list(response.context["form"].errors)) == (422, ["webhook_secret"])


def test_replacing_a_concurrently_changed_secret_is_refused(
    admin: User, owner: User, organization: Organization, client_of: ClientOf
) -> None:
    key, _ = make(organization)
    address = reverse("key_limits", args=[key.key_id])
    client_of(admin).post(address, {"webhook_secret": "new"})
    people = [client_of(admin), client_of(owner)]
    versions = [each.get(address).context["form"].version for each in people]
    first, second = (
        each.post(address, {"webhook_secret": "new", "version": version})
        for each, version in zip(people, versions, strict=True)
    )
    assert (first.status_code, second.status_code) == (302, 422)
    assert "changed after you opened it" in second.text and PREFIX not in second.text
    assert verbs() == ["api_key.webhook_secret_rotated"] * 2


def test_viewers_and_other_organizations_cannot_change_a_secret(
    organization: Organization, viewer: User, stranger: User, client_of: ClientOf
) -> None:
    key, _ = make(organization)
    address = reverse("key_limits", args=[key.key_id])
    for person, status in ((viewer, 403), (stranger, 404)):
        assert client_of(person).post(address, {"webhook_secret": "new"}).status_code == status
    assert stored(key).webhook_secret is None


def test_the_api_creates_replaces_and_removes_a_secret_and_shows_it_once(
    organization: Organization, change: Change
) -> None:
    text = new_key(organization, Role.OPERATOR)
    first, second = rotated(change, text), rotated(change, text)
    assert first != second and secret_of(text) == second
    listed = Caller(key=new_key(organization, Role.ADMIN)).get(KEYS, action="list").content.decode()
    assert '"hasWebhookSecret":true' in listed.replace(" ", "") and PREFIX not in listed
    assert json.loads(change("remove-webhook-secret", text).content)["hasWebhookSecret"] is False
    assert secret_of(text) is None
    assert verbs() == ["api_key.webhook_secret_rotated"] * 2 + ["api_key.webhook_secret_removed"]


def test_a_secret_is_never_stored_in_plain_text(organization: Organization, change: Change) -> None:
    text = new_key(organization, Role.OPERATOR)
    responses = [change("rotate-webhook-secret", text, **{"Idempotency-Key": "k"}) for _ in range(2)]
    secrets = [json.loads(each.content)["webhookSecret"] for each in responses]
    assert secrets[0] != secrets[1], "the response with the first secret was stored"
    with system_scope():
        assert not OnceAnswer.objects.exists()
        logged = json.dumps(list(AuditEvent.objects.values_list("target", "changes", "actor")))
    with connection.cursor() as cursor:
        cursor.execute("SELECT webhook_secret FROM tenants_apikey WHERE webhook_secret IS NOT NULL")
        [(column,)] = cursor.fetchall()
    assert not any(secret in where for secret in secrets for where in (logged, column))


def test_staff_see_no_secret_in_the_admin(organization: Organization, admin_client: Client) -> None:
    key, _ = make(organization)
    with organization_scope(organization.pk):
        ApiKey.objects.filter(pk=key.pk).update(webhook_secret=f"{PREFIX}canary")
    page = admin_client.get(reverse("admin:tenants_apikey_change", args=[key.pk]))
    assert page.status_code == 200 and "canary" not in page.text


@pytest.mark.parametrize("action", ["rotate-webhook-secret", "remove-webhook-secret"])
def test_a_key_cannot_change_its_own_secret_or_that_of_a_more_privileged_or_foreign_key(
    organization: Organization, other_organization: Organization, change: Change, action: str
) -> None:
    texts = {
        404: new_key(other_organization, Role.VIEWER),
        403: new_key(organization, Role.OWNER),
    }
    for status, text in texts.items():
        with system_scope():
            ApiKey.objects.filter(key_id=text.split("_")[1]).update(webhook_secret="whsec_before")
        refused(change(action, text), status)
        assert secret_of(text) == "whsec_before"
    own = new_key(organization, Role.ADMIN, ["key:limit"])
    refused(Caller(key=own).post(KEYS, {"action": action, "keyId": own.split("_")[1]}), 403)
    assert verbs() == []

"""Request webhooks of API keys with their own signing secret."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import AbstractUser
from django.db import connection
from django.test import Client
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from aiinfra.notifications.channels import ChannelError, add_channel, change_channel, remove_channel, retry_delivery
from aiinfra.notifications.delivering import REQUESTS, _claim, deliver_request_webhooks
from aiinfra.notifications.messages import Notification
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.notifications.outbox import can_send_request_webhooks, send_request_webhook
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from aiinfra.tenants.webhook_secrets import remove_webhook_secret, rotate_webhook_secret
from tests.notifications.sent import make_due
from tests.support.receiver import Receiver

pytestmark = pytest.mark.usefixtures("scoped")
ENDED = Notification(type="request.completed", severity="", title="Request 7 completed", text="")
ACTOR = "user:admin"


def new_key(organization: Organization) -> ApiKey:
    return keys.create_key(organization=organization, name="bot", role=Role.OPERATOR, actor=ACTOR)[0]


def key_with_secret(organization: Organization) -> tuple[ApiKey, str]:
    key = new_key(organization)
    with organization_scope(organization.pk):
        return key, rotate_webhook_secret(key=key, actor=ACTOR)


def add_request_channel(organization: Organization) -> Channel:
    fields = {"kind": "requests", "name": "programs", "target": "", "min_severity": "low", "actor": ACTOR}
    with organization_scope(organization.pk):
        return add_channel(organization_id=organization.pk, **fields)[0]


def turn_off(channel: Channel) -> None:
    change_channel(channel=channel, min_severity="low", enabled=False, actor=ACTOR)


def send_webhook(organization: Organization, key: ApiKey | None, url: str) -> None:
    send_request_webhook(organization.pk, url, ENDED, about="7", api_key_id=key.pk if key else None)


def verifies(secret: str, message: tuple[dict[str, str], bytes]) -> bool:
    headers, body = message
    try:
        Webhook(secret).verify(body.decode(), {name.lower(): text for name, text in headers.items()})
    except WebhookVerificationError:
        return False
    return True


def verifying_secrets(receiver: Receiver, *secrets: str) -> list[list[bool]]:
    """Send due messages; return for each message which of the secrets verify it."""
    deliver_request_webhooks()
    return [[verifies(secret, message) for secret in secrets] for message in receiver.received]


def test_secret_of_the_key_takes_precedence_over_the_organization_s(scoped: Organization, receiver: Receiver) -> None:
    channel, (key, secret) = add_request_channel(scoped), key_with_secret(scoped)
    send_webhook(scoped, key, receiver.url)
    assert verifying_secrets(receiver, secret, channel.secret) == [[True, False]]


def test_keys_without_a_secret_and_users_use_the_organization_s_secret(
    scoped: Organization, receiver: Receiver
) -> None:
    channel, (_, secret) = add_request_channel(scoped), key_with_secret(scoped)
    for key in (new_key(scoped), None):
        send_webhook(scoped, key, receiver.url)
    assert verifying_secrets(receiver, secret, channel.secret) == [[False, True]] * 2


def test_key_with_a_secret_needs_no_channel(scoped: Organization, receiver: Receiver) -> None:
    key, secret = key_with_secret(scoped)
    other = new_key(scoped)
    assert [can_send_request_webhooks(each) for each in (key.pk, other.pk, None)] == [True, False, False]
    for each in (key, other, None):
        send_webhook(scoped, each, receiver.url)
    assert verifying_secrets(receiver, secret) == [[True]]
    assert Delivery.objects.get().state == "sent"


def test_disabled_channel_stops_all_request_webhooks(scoped: Organization, receiver: Receiver) -> None:
    key, _ = key_with_secret(scoped)
    send_webhook(scoped, key, receiver.url)
    channel = add_request_channel(scoped)
    send_webhook(scoped, key, receiver.url)
    turn_off(channel)
    send_webhook(scoped, key, receiver.url)
    assert not can_send_request_webhooks(key.pk)
    assert list(Delivery.objects.values_list("state", flat=True)) == ["given_up"] * 2
    for delivery in Delivery.objects.all():
        with pytest.raises(ChannelError, match="disabled"):
            retry_delivery(delivery=delivery, actor=ACTOR)
    assert verifying_secrets(receiver) == []


def test_disabled_channel_does_not_affect_other_organizations(
    scoped: Organization, other_organization: Organization, receiver: Receiver
) -> None:
    key, secret = key_with_secret(other_organization)
    send_webhook(other_organization, key, receiver.url)
    with system_scope():
        turn_off(add_request_channel(scoped))
    assert verifying_secrets(receiver, secret) == [[True]]


def test_removed_channel_does_not_affect_keys_with_a_secret(scoped: Organization, receiver: Receiver) -> None:
    channel, (key, secret) = add_request_channel(scoped), key_with_secret(scoped)
    remove_channel(channel=channel, actor=ACTOR)
    send_webhook(scoped, key, receiver.url)
    assert verifying_secrets(receiver, secret) == [[True]]


def test_replaced_secret_signs_later_attempts(scoped: Organization, receiver: Receiver) -> None:
    key, old = key_with_secret(scoped)
    receiver.statuses = [503, 200]
    send_webhook(scoped, key, receiver.url)
    assert verifying_secrets(receiver, old) == [[True]]
    new = rotate_webhook_secret(key=key, actor=ACTOR)
    make_due()
    assert verifying_secrets(receiver, old, new) == [[True, False], [False, True]]
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1


@pytest.mark.parametrize("has_channel", [True, False])
def test_key_whose_secret_was_removed_uses_the_organization_s_or_sends_nothing(
    scoped: Organization, receiver: Receiver, has_channel: bool
) -> None:
    channel, (key, old) = add_request_channel(scoped) if has_channel else None, key_with_secret(scoped)
    send_webhook(scoped, key, receiver.url)
    assert remove_webhook_secret(key=key, actor=ACTOR)
    assert not remove_webhook_secret(key=key, actor=ACTOR)
    assert verifying_secrets(receiver, old, *([channel.secret] if channel else [])) == (
        [[False, True]] if channel else []
    )
    delivery = Delivery.objects.get()
    expected = ("sent", "") if channel else ("given_up", "the signing secret of the API key was removed")
    assert (delivery.state, delivery.last_error) == expected


def test_rotated_keys_share_one_secret(scoped: Organization, receiver: Receiver) -> None:
    key, first = key_with_secret(scoped)
    successor, _ = keys.rotate_key(key=key, overlap=timedelta(hours=1), actor=ACTOR)
    for each in (key, successor):
        send_webhook(scoped, each, receiver.url)
    assert verifying_secrets(receiver, first) == [[True]] * 2
    second = rotate_webhook_secret(key=successor, actor=ACTOR)
    for each in (key, successor):
        send_webhook(scoped, each, receiver.url)
    assert verifying_secrets(receiver, second) == [[False], [False], [True], [True]]
    assert remove_webhook_secret(key=key, actor=ACTOR)
    assert not ApiKey.objects.filter(webhook_secret__isnull=False).exists()


@pytest.mark.parametrize("has_channel", [True, False])
def test_key_of_another_organization_cannot_sign_webhooks(
    scoped: Organization, other_organization: Organization, receiver: Receiver, has_channel: bool
) -> None:
    channel, (theirs, secret) = (
        add_request_channel(scoped) if has_channel else None,
        key_with_secret(other_organization),
    )
    assert can_send_request_webhooks(theirs.pk) == has_channel
    send_webhook(scoped, theirs, receiver.url)
    forged = {"channel": channel, "api_key": theirs, "about": "8", "payload": ENDED.as_payload()}
    Delivery.objects.create(organization=scoped, message_id="msg_8", target=receiver.url, **forged)
    assert verifying_secrets(receiver, secret) == [[False]] * (2 if has_channel else 0)


def test_undecryptable_secret_is_not_replaced_by_the_organization_s(scoped: Organization, receiver: Receiver) -> None:
    add_request_channel(scoped)
    key, _ = key_with_secret(scoped)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tenants_apikey SET webhook_secret = 'damaged'")
    send_webhook(scoped, key, receiver.url)
    assert verifying_secrets(receiver) == []
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.last_error) == ("failed", "the address or the signing secret can't be decrypted")
    successor, _ = keys.rotate_key(key=key, overlap=timedelta(0), actor=ACTOR)
    with connection.cursor() as cursor:
        cursor.execute("SELECT webhook_secret FROM tenants_apikey WHERE id = %s", [successor.pk])
        assert cursor.fetchone() == ("damaged",)


def test_page_lists_webhooks_without_a_channel_and_can_resend_them(
    scoped: Organization, finance: AbstractUser, client_of: Callable[[AbstractUser], Client], receiver: Receiver
) -> None:
    key, secret = key_with_secret(scoped)
    receiver.statuses = [400, 200]
    send_webhook(scoped, key, receiver.url)
    assert verifying_secrets(receiver, secret) == [[True]]
    client, page = client_of(finance), "/settings/notifications/"
    shown = client.get(page).text
    assert "127.0.0.1" in shown and "Send again" in shown and "secret-part" not in shown and "whsec_" not in shown
    again = client.post(f"{page}deliveries/{Delivery.objects.get().pk}/again/", follow=True)
    assert "Message queued again." in again.text
    assert verifying_secrets(receiver, secret) == [[True]] * 2
    event = AuditEvent.objects.get(verb="delivery.retried")
    assert (event.target, event.organization_id) == ("Request webhooks", scoped.pk)


def test_claims_are_limited_per_organization_without_a_channel(
    scoped: Organization, other_organization: Organization
) -> None:
    for organization in (scoped, other_organization):
        key, _ = key_with_secret(organization)
        for number in range(REQUESTS.per_owner + 1):
            send_webhook(organization, key, f"https://host-{number}.example/")
    with system_scope():
        first = _claim(REQUESTS)
        owners = [each.organization_id for each in first]
        assert owners.count(scoped.pk) == owners.count(other_organization.pk) == REQUESTS.per_owner
        assert _claim(REQUESTS, first) == []

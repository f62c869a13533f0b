"""Delivery of messages: created with their cause, sent later, and retried, without delaying anyone."""

import json
import socket
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings
from standardwebhooks.webhooks import Webhook

from aiinfra.notifications import delivering, transports
from aiinfra.notifications.channels import ChannelError, change_channel, remove_channel, retry_delivery, send_test
from aiinfra.notifications.delivering import CHANNELS, DELAYS_S, deliver_pending
from aiinfra.notifications.messages import Notification
from aiinfra.notifications.models import Delivery
from aiinfra.notifications.outbox import send
from aiinfra.tenants.models import Organization
from tests.notifications.sent import MESSAGE, MakeChannel, make_due
from tests.support.receiver import Receiver

pytestmark = pytest.mark.usefixtures("scoped")


def test_webhook_signature_is_verified_by_the_standardwebhooks_library(
    make_channel: MakeChannel, receiver: Receiver, organization: Organization
) -> None:
    channel = make_channel(target=receiver.url)
    send(organization.pk, MESSAGE)
    assert deliver_pending() == 1
    ((headers, body),) = receiver.received
    sent_with = {name.lower(): text for name, text in headers.items()}
    verified: Any = Webhook(channel.secret).verify(body.decode(), sent_with)
    assert verified["type"] == "alert.opened"
    assert "/alerts/7/" in json.dumps(verified)
    assert Delivery.objects.get().state == "sent"
    assert deliver_pending() == 0


def test_slack_message_has_text_and_a_link(
    make_channel: MakeChannel, receiver: Receiver, organization: Organization
) -> None:
    make_channel(kind="slack", target=receiver.url)
    send(organization.pk, MESSAGE)
    deliver_pending()
    message = json.loads(receiver.received[0][1])
    assert "Budget warning" in message["text"]
    assert "/alerts/7/" in json.dumps(message["blocks"])


def test_email_is_sent_through_the_mail_server(
    make_channel: MakeChannel, organization: Organization, mailoutbox: list[mail.EmailMessage], settings: Settings
) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    make_channel(kind="email", target="ops@example.com")
    send(organization.pk, MESSAGE)
    deliver_pending()
    assert (mailoutbox[0].to, mailoutbox[0].subject) == (["ops@example.com"], "[medium] Budget warning")
    assert "/alerts/7/" in str(mailoutbox[0].body)


def test_email_without_a_mail_server_fails_with_the_reason(
    make_channel: MakeChannel, organization: Organization, settings: Settings
) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    make_channel(kind="email", target="ops@example.com")
    settings.EMAIL_HOST = ""
    send(organization.pk, MESSAGE)
    deliver_pending()
    assert "no mail server is configured" in Delivery.objects.get().last_error


def test_temporary_failure_is_retried_with_the_same_id(
    make_channel: MakeChannel, receiver: Receiver, organization: Organization
) -> None:
    make_channel(target=receiver.url)
    receiver.statuses = [500, 429, 200]
    send(organization.pk, MESSAGE)
    for _ in range(3):
        deliver_pending()
        assert deliver_pending() == 0, "it was not due"
        make_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.tries, delivery.response_status) == ("sent", 3, 200)
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1


@pytest.mark.parametrize("status", [301, 400, 404, 410])
def test_permanent_failure_is_given_up_and_can_be_resent(
    make_channel: MakeChannel, receiver: Receiver, organization: Organization, status: int
) -> None:
    make_channel(target=receiver.url)
    receiver.statuses = [status, 200]
    send(organization.pk, MESSAGE)
    deliver_pending()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.response_status) == ("given_up", status)
    retry_delivery(delivery=delivery, actor="user:finance")
    deliver_pending()
    assert Delivery.objects.get().state == "sent"


def test_message_is_given_up_after_its_last_attempt(
    make_channel: MakeChannel, receiver: Receiver, organization: Organization
) -> None:
    make_channel(target=receiver.url)
    receiver.statuses = [503]
    send(organization.pk, MESSAGE)
    while deliver_pending():
        make_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.tries) == ("given_up", len(DELAYS_S) + 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "::1"])
def test_message_to_a_private_address_is_not_sent(
    make_channel: MakeChannel, organization: Organization, settings: Settings, host: str
) -> None:
    """The host was trusted when the channel was added."""
    settings.NOTIFICATION_TRUSTED_HOSTS = frozenset({host})
    make_channel(target=f"https://[{host}]:1/" if ":" in host else f"https://{host}:1/")
    settings.NOTIFICATION_TRUSTED_HOSTS = frozenset()
    send(organization.pk, MESSAGE)
    deliver_pending()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.response_status) == ("given_up", None)
    assert "the address is not public" in delivery.last_error


@pytest.mark.parametrize("address", ["10.0.0.5", None])
def test_error_does_not_reveal_internal_names(
    make_channel: MakeChannel, organization: Organization, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    def resolve(host: str, port: int, *_: object, **__: object) -> list[object]:
        if address is None:
            raise socket.gaierror("Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    make_channel(target="https://wiki.corp.example/")
    send(organization.pk, MESSAGE)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve)
        outcome = transports.attempt(Delivery.objects.select_related("channel").get())
    assert outcome == transports.Outcome(False, transports.NOT_PUBLIC, again=True)


def test_unexpected_error_is_stored_without_secrets(
    make_channel: MakeChannel, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_channel(kind="slack", target="https://hooks.example.com/T0/secret")

    def fail(_delivery: Delivery) -> None:
        raise RuntimeError("https://hooks.example.com/T0/secret")

    monkeypatch.setitem(transports.TRANSPORTS, "slack", fail)
    send(organization.pk, MESSAGE)
    deliver_pending()
    assert "secret" not in Delivery.objects.get().last_error


def test_only_channels_with_a_matching_severity_are_notified(
    make_channel: MakeChannel, organization: Organization
) -> None:
    make_channel(name="all")
    make_channel(name="worst", min_severity="critical")
    change_channel(channel=make_channel(name="off"), min_severity="low", enabled=False, actor="user:admin")
    assert len(send(organization.pk, MESSAGE)) == 1
    assert [each.channel.name for each in Delivery.objects.all()] == ["all"]


def test_rollback_sends_no_message(make_channel: MakeChannel, organization: Organization) -> None:
    make_channel()
    with pytest.raises(RuntimeError), transaction.atomic():
        send(organization.pk, MESSAGE)
        raise RuntimeError
    assert not Delivery.objects.exists()


def test_test_message_ignores_the_minimum_severity(make_channel: MakeChannel, receiver: Receiver) -> None:
    send_test(channel=make_channel(target=receiver.url, min_severity="critical"), actor="user:finance")
    deliver_pending()
    assert len(receiver.received) == 1


def test_message_is_claimed_by_one_of_two_concurrent_senders(
    make_channel: MakeChannel, organization: Organization
) -> None:
    make_channel()
    send(organization.pk, MESSAGE)
    seen_by_one, seen_by_other = Delivery.objects.get(), Delivery.objects.get()
    assert [delivering._take(seen_by_one), delivering._take(seen_by_other)] == [True, False]
    assert delivering._claim(CHANNELS) == [], "the claim has not expired"


def test_sender_whose_claim_expired_cannot_change_the_delivery(
    make_channel: MakeChannel, organization: Organization
) -> None:
    make_channel()
    send(organization.pk, MESSAGE)
    (lost,) = delivering._claim(CHANNELS)
    make_due()
    (successor,) = delivering._claim(CHANNELS)
    delivering._note(lost, transports.Outcome(False, "a late failure"))
    assert Delivery.objects.get().last_error == ""
    delivering._note(successor, transports.SENT)
    assert (Delivery.objects.get().state, Delivery.objects.get().tries) == ("sent", 2)


def test_next_attempt_respects_backoff_and_retry_after(make_channel: MakeChannel, organization: Organization) -> None:
    make_channel()
    send(organization.pk, MESSAGE)
    for tries, after_s, least, most in [(1, 0, 10, 11.5), (2, 900, 900, 901), (3, 0, 300, 331), (5, 0, 7_200, 7_921)]:
        Delivery.objects.update(tries=tries)
        delivery, before = Delivery.objects.get(), timezone.now()
        delivering._note(delivery, transports.Outcome(False, "busy", 429, again=True, after_s=after_s))
        assert Delivery.objects.get().state == "failed"
        assert Delivery.objects.get().next_try_at >= before + timedelta(seconds=least)
        assert Delivery.objects.get().next_try_at <= timezone.now() + timedelta(seconds=most)


@pytest.mark.parametrize(
    ("header", "least"),
    [("120", 120), ("Fri, 01 Jan 2999 00:00:00 GMT", 7_200), ("2 minutes", 120), ("-5", 0), ("1e9", 7_200)],
)
def test_retry_after_is_parsed_in_every_notation(header: str, least: float) -> None:
    response = httpx2.Response(429, headers={"Retry-After": header})
    assert transports._outcome_of(response).after_s == least


def test_pending_messages_are_given_up_with_their_channel(
    make_channel: MakeChannel, organization: Organization
) -> None:
    channel = make_channel()
    send(organization.pk, MESSAGE)
    remove_channel(channel=channel, actor="user:finance")
    delivery = Delivery.objects.select_related("channel").get()
    assert (delivery.state, delivery.channel.target, delivery.channel.secret) == ("given_up", "", "")
    with pytest.raises(ChannelError):
        retry_delivery(delivery=delivery, actor="user:finance")
    assert deliver_pending() == 0


def test_an_unavailable_receiver_never_affects_the_caller(
    make_channel: MakeChannel, receiver: Receiver, organization: Organization
) -> None:
    """Nothing listens on port 1. `send` only creates the messages."""
    make_channel(name="away", target="http://127.0.0.1:1/")
    make_channel(name="there", target=receiver.url)
    with transaction.atomic():
        assert len(send(organization.pk, MESSAGE)) == 2
    assert deliver_pending() == 2
    states = dict(Delivery.objects.values_list("channel__name", "state"))
    assert states == {"away": "failed", "there": "sent"}


def test_only_old_ended_deliveries_are_deleted(make_channel: MakeChannel, organization: Organization) -> None:
    make_channel()
    for _ in range(3):
        send(organization.pk, MESSAGE)
    waiting, sent, recent = Delivery.objects.order_by("id")
    Delivery.objects.filter(id__in=[sent.pk, recent.pk]).update(state="sent")
    Delivery.objects.exclude(id=recent.pk).update(created_at=timezone.now() - delivering.KEPT_FOR - timedelta(days=1))
    assert delivering.delete_old_deliveries() == 1
    assert set(Delivery.objects.values_list("id", flat=True)) == {waiting.pk, recent.pk}


def test_slack_messages_escape_names(organization: Organization) -> None:
    body = json.dumps(transports.slack_body(Notification("test", "low", "a", "<!channel> & <https://evil|here>")))
    assert "<!channel>" not in body
    assert "&lt;!channel&gt; &amp; &lt;https://evil|here&gt;" in body


def test_slack_and_email_show_that_an_alert_was_resolved() -> None:
    over = replace(MESSAGE, type="alert.resolved", title="Resolved: Budget warning")
    assert over.subject == "Resolved: Budget warning"
    assert transports.slack_body(over)["blocks"][0]["text"]["text"].startswith(transports.SLACK_RESOLVED)

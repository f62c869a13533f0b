"""Request webhooks: one signed message per end of a request, committed with it and sent despite crashes."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings
from standardwebhooks.webhooks import Webhook

from aiinfra.notifications.channels import add_channel, change_channel, remove_channel
from aiinfra.notifications.delivering import deliver_pending, deliver_request_webhooks
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from queue_app import control, webhooks
from queue_app.erasure import erase_requests, until
from queue_app.models import AIRequest, Status
from queue_app.ordering.claims import claim_next
from queue_app.processing import outcomes
from queue_app.processing.provider_call import process
from tests.queue_app.conftest import ScriptedProvider, refusal
from tests.queue_app.flights import Ask
from tests.queue_app.flights import claimed as claimed_next
from tests.queue_app.outcomes import Claimed, lease_expires, recover, row, sent
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.usefixtures("scoped")
PROMPT = "How do I plan a garden?"


def new_channel(organization: Organization) -> Channel:
    channel, _ = add_channel(
        organization_id=organization.pk,
        kind="requests",
        name="programs",
        target="",
        min_severity="medium",
        actor="user:admin",
    )
    return channel


@pytest.fixture
def channel(scoped: Organization) -> Channel:
    """Signs the organization's request webhooks."""
    return new_channel(scoped)


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """A real server, which the egress guard allows in this test."""
    settings.NOTIFICATION_TRUSTED_HOSTS = frozenset({"127.0.0.1"})
    with receiving() as found:
        yield found


def delivered(receiver: Receiver) -> list[dict[str, Any]]:
    """The messages received after everything due has been sent."""
    deliver_request_webhooks()
    return receiver.messages()


def make_due() -> None:
    Delivery.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))


def test_answered_request_is_reported_with_a_signature_and_without_content(
    claimed: Claimed, provider: ScriptedProvider, channel: Channel, receiver: Receiver
) -> None:
    process(claimed(webhook=receiver.url, conversation_id="c-1"))
    assert deliver_pending() == 0, "request webhooks have their own lane"
    [message] = delivered(receiver)
    [(headers, body)] = receiver.received
    Webhook(channel.secret).verify(body.decode(), {name.lower(): text for name, text in headers.items()})
    data = message["data"]
    assert (message["type"], data["requestId"], data["status"]) == ("request.completed", str(row().id), "completed")
    assert (data["cost"], data["usage"]["totalTokens"], data["conversationId"]) == ("0.0000056", 30, "c-1")
    assert data["completedAt"] and data["createdAt"] and data["startedAt"]
    assert "Hello." not in body.decode() and "Hi" not in body.decode()
    assert set(data).isdisjoint({"response", "attempts", "error", "text", "title", "severity"})
    assert deliver_request_webhooks() == 0


def test_failure_is_reported_by_code_without_the_providers_message(
    claimed: Claimed, provider: ScriptedProvider, channel: Channel, receiver: Receiver
) -> None:
    provider.script = [refusal("INVALID_REQUEST")]
    process(claimed(webhook=receiver.url))
    [message] = delivered(receiver)
    assert (message["type"], message["data"]["errorCode"]) == ("request.failed", "INVALID_REQUEST")
    assert "it said" not in json.dumps(message)


def test_retry_sends_no_webhook(
    claimed: Claimed, provider: ScriptedProvider, channel: Channel, receiver: Receiver
) -> None:
    provider.script = [refusal("RATE_LIMITED")]
    process(claimed(webhook=receiver.url))
    assert row().status == Status.PENDING
    assert delivered(receiver) == []


def test_cancelled_request_is_reported_again_after_a_manual_retry(
    claimed: Claimed, provider: ScriptedProvider, channel: Channel, receiver: Receiver
) -> None:
    request = claimed(webhook=receiver.url).request
    control.cancel(request, actor="user:operator")
    control.retry(request, actor="user:operator")
    process(claimed_next())
    assert {each["type"] for each in delivered(receiver)} == {"request.cancelled", "request.completed"}
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 2


def test_lost_and_broken_requests_are_reported(claimed: Claimed, channel: Channel, receiver: Receiver) -> None:
    claim = claimed(webhook=receiver.url)
    sent(claim)
    AIRequest.objects.update(crashes=2)
    lease_expires()
    recover()
    outcomes.fail_broken(claimed(webhook=receiver.url))
    found = {each["data"]["errorCode"]: each["data"]["costEstimated"] for each in delivered(receiver)}
    assert found == {"QUARANTINED": True, "INTERNAL_ERROR": False}


def test_followers_and_cache_hits_are_reported(
    send: Ask, provider: ScriptedProvider, channel: Channel, receiver: Receiver
) -> None:
    leader, follower = send(), send(webhook=receiver.url)
    assert (leader.leader_id, follower.leader_id) == (None, leader.id)
    process(claimed_next())
    hit = send(webhook=receiver.url)
    assert hit.cached
    found = delivered(receiver)
    assert {each["data"]["requestId"] for each in found} == {str(follower.id), str(hit.id)}
    assert all((each["data"]["cached"], each["data"]["cost"]) == (True, "0.00") for each in found)


def test_follower_that_cannot_start_is_reported(
    send: Ask, provider: ScriptedProvider, channel: Channel, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    send()
    send(webhook=receiver.url)
    provider.script = [refusal("INVALID_REQUEST")]
    claim = claimed_next()

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("queue_app.caching.coalescing.attempt_order", fail)
    process(claim)
    [message] = delivered(receiver)
    assert message["data"]["errorCode"] == "INTERNAL_ERROR"


def test_message_is_committed_with_the_end_of_the_request(
    claimed: Claimed,
    provider: ScriptedProvider,
    channel: Channel,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that dies right after the commit has written the message; one that dies before it has not."""

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    claim = claimed(webhook=receiver.url)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), transaction.atomic():
        patched.setattr(outcomes, "notify_end", crash)
        process(claim)
    assert (row().status, Delivery.objects.count()) == (Status.PROCESSING, 0)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(outcomes, "_left", crash)
        process(claim)
    assert row().status == Status.COMPLETED
    assert [each["type"] for each in delivered(receiver)] == ["request.completed"]


def test_failed_delivery_is_retried_with_the_same_id(
    claimed: Claimed, provider: ScriptedProvider, channel: Channel, receiver: Receiver
) -> None:
    receiver.statuses = [503, 200]
    process(claimed(webhook=receiver.url))
    deliver_request_webhooks()
    make_due()
    delivered(receiver)
    assert len(receiver.received) == 2
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
    assert (Delivery.objects.get().state, Delivery.objects.get().tries) == ("sent", 2)


@pytest.mark.parametrize("change", ["off", "removed", "never"])
def test_no_webhook_is_sent_without_an_enabled_channel(
    claimed: Claimed, provider: ScriptedProvider, scoped: Organization, receiver: Receiver, change: str
) -> None:
    claim = claimed(webhook=receiver.url)
    if change == "off":
        change_channel(channel=new_channel(scoped), min_severity="medium", enabled=False, actor="user:admin")
    elif change == "removed":
        remove_channel(channel=new_channel(scoped), actor="user:admin")
    process(claim)
    assert (row().status, delivered(receiver)) == (Status.COMPLETED, [])


def test_another_organizations_channel_is_not_used(
    claimed: Claimed, provider: ScriptedProvider, other_organization: Organization, receiver: Receiver
) -> None:
    with organization_scope(other_organization.pk):
        new_channel(other_organization)
    process(claimed(webhook=receiver.url))
    assert delivered(receiver) == []


def test_error_in_the_message_does_not_keep_a_request_from_ending(
    claimed: Claimed, provider: ScriptedProvider, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_request: AIRequest) -> dict[str, Any]:
        raise ValueError("odd")

    monkeypatch.setattr(webhooks, "_data", fail)
    process(claimed(webhook="https://example.com/hook"))
    assert (row().status, Delivery.objects.count()) == (Status.COMPLETED, 0)


def test_private_addresses_receive_nothing(claimed: Claimed, provider: ScriptedProvider, channel: Channel) -> None:
    process(claimed(webhook="https://127.0.0.1:1/"))
    deliver_request_webhooks()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.host) == ("given_up", "127.0.0.1")
    assert "the address is not public" in delivery.last_error


def test_url_is_encrypted_and_erased_with_the_request(
    claimed: Claimed, provider: ScriptedProvider, channel: Channel, raw: Callable[[str], str]
) -> None:
    process(claimed(webhook="https://example.com/secret-part", user_ref="ann"))
    assert "secret-part" not in raw("SELECT webhook FROM queue_app_airequest")
    assert "secret-part" not in raw("SELECT target FROM notifications_delivery")
    erase_requests(until(timezone.now(), "ann"), "gone", lambda _store, _number: None)
    assert row().webhook is None


@pytest.fixture
def raw() -> Callable[[str], str]:
    """Reads stored values without decryption."""
    from django.db import connection

    def read(sql: str) -> str:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return str(cursor.fetchall())

    return read


def test_request_without_a_webhook_sends_no_message(
    claimed: Claimed, provider: ScriptedProvider, channel: Channel
) -> None:
    process(claimed())
    assert claim_next("worker") is None
    assert not Delivery.objects.exists()

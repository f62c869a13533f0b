"""Concurrency of deliveries: a slow receiver delays only its own messages."""

import threading

import pytest
from pytest_django.fixtures import Settings

from aiinfra.notifications.channels import ChannelError, add_channel, send_test
from aiinfra.notifications.delivering import CHANNELS, REQUESTS, _claim, deliver_pending, deliver_request_webhooks
from aiinfra.notifications.messages import Notification
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.notifications.outbox import send, send_request_webhook
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from tests.notifications.sent import MESSAGE, MakeChannel, make_due
from tests.support.processes import wait_until
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.usefixtures("scoped")
ENDED = Notification(type="request.completed", severity="", title="Request 7 completed", text="")


def add_request_channel(organization: Organization) -> Channel:
    fields = {"kind": "requests", "name": "programs", "target": "", "min_severity": "medium", "actor": "user:admin"}
    with organization_scope(organization.pk):
        return add_channel(organization_id=organization.pk, **fields)[0]


def send_webhooks(organization: Organization, host: str, times: int = 1) -> None:
    for number in range(times):
        send_request_webhook(organization.pk, f"https://{host}/hook", ENDED, about=f"request {number}")


def test_claims_are_limited_per_host_and_organization(
    organization: Organization, other_organization: Organization
) -> None:
    for each in (organization, other_organization):
        add_request_channel(each)
    for host in ("slow.example", "slower.example", "slowest.example"):
        send_webhooks(organization, host, 10)
    send_webhooks(other_organization, "slow.example", 10)
    with system_scope():
        first = _claim(REQUESTS)
        assert [(each.organization_id, each.host) for each in first] == [
            *[(organization.pk, "slow.example")] * REQUESTS.per_host,
            *[(organization.pk, "slower.example")] * REQUESTS.per_host,
            *[(other_organization.pk, "slow.example")] * REQUESTS.per_host,
        ]
        assert _claim(REQUESTS, first) == []
        assert [each.host for each in _claim(REQUESTS, first[1:])] == ["slow.example"]


def test_full_host_does_not_block_other_hosts(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiinfra.notifications.delivering.CANDIDATES", 8)
    add_request_channel(organization)
    send_webhooks(organization, "slow.example", 16)
    send_webhooks(organization, "quick.example")
    first = _claim(REQUESTS)
    assert {each.host for each in first} == {"slow.example"}
    assert [each.host for each in _claim(REQUESTS, first)] == ["quick.example"]


def test_webhooks_do_not_delay_alerts(
    make_channel: MakeChannel, organization: Organization, receiver: Receiver
) -> None:
    signing = add_request_channel(organization)
    make_channel(target=receiver.url)
    send_webhooks(organization, "away.example", 3)
    send(organization.pk, MESSAGE)
    assert not Delivery.objects.filter(channel=signing, about=None).exists()
    assert len(_claim(CHANNELS)) == 1
    make_due()
    assert deliver_pending() == 1
    assert len(receiver.received) == 1


def test_more_messages_than_concurrent_deliveries_are_sent_while_another_receiver_is_slow(
    organization: Organization, receiver: Receiver, settings: Settings
) -> None:
    settings.NOTIFICATION_TRUSTED_HOSTS = frozenset({"127.0.0.1", "localhost"})
    add_request_channel(organization)
    number = REQUESTS.per_host * 2 + 1
    with receiving() as slow:
        slow.may_answer.clear()
        send_request_webhook(organization.pk, slow.url.replace("127.0.0.1", "localhost"), ENDED, about="request")
        for _ in range(number):
            send_request_webhook(organization.pk, receiver.url, ENDED, about="request")
        answering = threading.Thread(target=answer_after, args=(slow, receiver, number))
        answering.start()
        assert deliver_request_webhooks() == number + 1
        answering.join()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}


def answer_after(slow: Receiver, quick: Receiver, number: int) -> None:
    """Let the slow receiver respond once the quick one has received this many messages."""
    wait_until(lambda: len(quick.received) == number, "the messages of the quick receiver")
    slow.may_answer.set()


def test_organization_has_one_secret_for_request_webhooks(organization: Organization) -> None:
    channel = add_request_channel(organization)
    assert channel.secret.startswith("whsec_")
    with pytest.raises(ChannelError, match="already"):
        add_request_channel(organization)
    with pytest.raises(ChannelError, match="no address of their own"):
        send_test(channel=channel, actor="user:finance")
    with pytest.raises(ChannelError, match="Only organizations"):
        add_channel(organization_id=None, kind="requests", name="x", target="", min_severity="low", actor="user:x")

"""Messages of a topic are delivered in order."""

import json
from dataclasses import replace

import pytest

from aiinfra.notifications.delivering import deliver_pending
from aiinfra.notifications.models import Delivery
from aiinfra.notifications.outbox import send
from aiinfra.tenants.models import Organization
from tests.notifications.sent import MESSAGE, MakeChannel, make_due
from tests.support.receiver import Receiver

pytestmark = pytest.mark.usefixtures("scoped")


def test_messages_of_one_topic_are_delivered_in_order(
    make_channel: MakeChannel, receiver: Receiver, organization: Organization
) -> None:
    receiver.statuses = [503, 200]
    make_channel(target=receiver.url)
    send(organization.pk, replace(MESSAGE, title="Opened", topic="alert:7"))
    assert deliver_pending() == 1
    send(organization.pk, replace(MESSAGE, title="Resolved", topic="alert:7"))
    send(organization.pk, replace(MESSAGE, title="Other", topic="alert:8"))
    assert deliver_pending() == 1
    make_due()
    deliver_pending()
    assert [json.loads(body)["data"]["title"] for _, body in receiver.received] == [
        "Opened",
        "Other",
        "Opened",
        "Resolved",
    ]


def test_given_up_message_releases_the_next_one_of_its_topic(
    make_channel: MakeChannel, receiver: Receiver, organization: Organization
) -> None:
    receiver.statuses = [400, 200]
    make_channel(target=receiver.url)
    for title in ("Opened", "Resolved"):
        send(organization.pk, replace(MESSAGE, title=title, topic="alert:7"))
    deliver_pending()
    assert [each.state for each in Delivery.objects.order_by("id")] == ["given_up", "sent"]

"""The front door: a message is rows in the caller's transaction, and nothing else happens there."""

import uuid
from collections.abc import Collection

from aiinfra.notifications.messages import Notification, severities_up_to
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.tenants.scope import owner_scope


def send(organization_id: int | None, message: Notification) -> list[int]:
    """Put a message in line for every channel that takes its severity: the organization's, or with None the
    installation's. Returns their ids.

    Costs two statements. If the caller's transaction is rolled back, nothing is sent; once it is committed, no restart
    loses it. Raises ValueError for an unknown severity.
    """
    return _send(organization_id, message, min_severity__in=severities_up_to(message.severity))


def send_to(organization_id: int | None, channel_ids: Collection[int], message: Notification) -> list[int]:
    """The same for some channels, whatever severity they take: for news of what they have heard of before."""
    return _send(organization_id, message, id__in=channel_ids)


def _send(organization_id: int | None, message: Notification, **chosen: object) -> list[int]:
    with owner_scope(organization_id):
        channels = list(Channel.objects.filter(enabled=True, removed_at=None, **chosen))
        Delivery.objects.bulk_create([new_delivery(channel, message) for channel in channels])
    return [channel.pk for channel in channels]


def new_delivery(channel: Channel, message: Notification) -> Delivery:
    """A message to one channel, not saved yet."""
    return Delivery(
        organization_id=channel.organization_id,
        channel=channel,
        message_id=f"msg_{uuid.uuid4().hex}",
        topic=message.topic,
        payload=message.as_payload(),
    )

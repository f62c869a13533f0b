"""Sends messages: writes deliveries in the caller's transaction, and does nothing else."""

import uuid
from collections.abc import Collection

from aiinfra.notifications.messages import Notification, severities_up_to
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.tenants.scope import owner_scope


def send(organization_id: int | None, message: Notification) -> list[int]:
    """Queue a message for every channel that accepts its severity: the organization's, or the installation's for None.
    Returns the delivery IDs.

    Costs two statements. If the caller's transaction is rolled back, nothing is sent; once it is committed, the message
    survives any restart. Raises ValueError for an unknown severity.
    """
    return _send(organization_id, message, min_severity__in=severities_up_to(message.severity))


def send_to(organization_id: int | None, channel_ids: Collection[int], message: Notification) -> list[int]:
    """Queue a message for specific channels, whatever severity they accept: for follow-ups to earlier messages."""
    return _send(organization_id, message, id__in=channel_ids)


def _send(organization_id: int | None, message: Notification, **chosen: object) -> list[int]:
    with owner_scope(organization_id):
        channels = list(Channel.objects.filter(enabled=True, removed_at=None, **chosen))
        Delivery.objects.bulk_create([new_delivery(channel, message) for channel in channels])
    return [channel.pk for channel in channels]


def new_delivery(channel: Channel, message: Notification) -> Delivery:
    """A delivery of this message to one channel, not saved yet."""
    return Delivery(
        organization_id=channel.organization_id,
        channel=channel,
        message_id=f"msg_{uuid.uuid4().hex}",
        topic=message.topic,
        payload=message.as_payload(),
    )

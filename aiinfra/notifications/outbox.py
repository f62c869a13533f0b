"""The front door: a message is rows in the caller's transaction, and nothing else happens there."""

import uuid

from aiinfra.notifications.messages import Notification, severities_up_to
from aiinfra.notifications.models import Channel, Delivery
from aiinfra.tenants.scope import organization_scope


def send(organization_id: int, message: Notification) -> int:
    """Put a message in line for every channel of the organization that takes its severity; returns how many do.

    Costs two statements. If the caller's transaction is rolled back, nothing is sent; once it is committed, no restart
    loses it. Raises ValueError for a severity that there is not.
    """
    with organization_scope(organization_id):
        channels = Channel.objects.filter(
            enabled=True, removed_at=None, min_severity__in=severities_up_to(message.severity)
        )
        deliveries = [new_delivery(channel, message) for channel in channels]
        Delivery.objects.bulk_create(deliveries)
    return len(deliveries)


def new_delivery(channel: Channel, message: Notification) -> Delivery:
    """A message to one channel, not saved yet."""
    return Delivery(
        organization_id=channel.organization_id,
        channel=channel,
        message_id=f"msg_{uuid.uuid4().hex}",
        payload=message.as_payload(),
    )

"""Sends messages: writes deliveries in the caller's transaction, and does nothing else."""

import uuid
from collections.abc import Collection

from django.db.models import QuerySet

from aiinfra.notifications.messages import Notification, severities_up_to
from aiinfra.notifications.models import Channel, ChannelKind, Delivery
from aiinfra.tenants.scope import owner_scope
from aiinfra.webhook_urls import host_of


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


def send_request_webhook(organization_id: int, url: str, message: Notification, *, about: str) -> None:
    """Queue a message for the URL that a request named, signed with the organization's secret for request webhooks.

    Nothing is sent if the organization has none any more, or has switched request webhooks off. Costs two statements in
    the caller's transaction, as `send` does.
    """
    with owner_scope(organization_id):
        channel = request_channels().first()
        if channel is not None:
            delivery = new_delivery(channel, message)
            delivery.target, delivery.host, delivery.about = url, host_of(url), about
            delivery.save(force_insert=True)


def request_channels() -> QuerySet[Channel]:
    """What signs request webhooks in scope: one channel, or none."""
    return Channel.objects.filter(kind=ChannelKind.REQUESTS, enabled=True, removed_at=None)


def _send(organization_id: int | None, message: Notification, **chosen: object) -> list[int]:
    with owner_scope(organization_id):
        in_use = Channel.objects.filter(enabled=True, removed_at=None, **chosen)
        channels = list(in_use.exclude(kind=ChannelKind.REQUESTS))
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

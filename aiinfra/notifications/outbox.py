"""Queues messages by writing deliveries in the caller's transaction."""

import uuid
from collections.abc import Collection
from datetime import datetime

from django.utils import timezone

from aiinfra.notifications.messages import Notification, severities_up_to
from aiinfra.notifications.models import Channel, ChannelKind, Delivery, DeliveryState
from aiinfra.tenants.models import ApiKey
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


def send_request_webhook(
    organization_id: int,
    url: str,
    message: Notification,
    *,
    about: str,
    api_key_id: int | None = None,
    due_at: datetime | None = None,
) -> int | None:
    """Queue a message for the URL that a request named, signed with the secret of its API key or the organization's.
    Returns the delivery ID. With `due_at` it is sent then, unless it is replaced before.

    Nothing is sent if there is neither any more, or the organization has switched request webhooks off. Costs two
    statements in the caller's transaction, as `send` does, and one more without the organization's secret.
    """
    with owner_scope(organization_id):
        channel = request_channel()
        if _can_sign(channel, api_key_id):
            delivery = new_delivery(organization_id, channel, message)
            delivery.target, delivery.host, delivery.about = url, host_of(url), about
            delivery.api_key_id = api_key_id
            if due_at is not None:
                delivery.next_try_at = due_at
            delivery.save(force_insert=True)
            return int(delivery.pk)
    return None


def replace_request_webhook(delivery_id: int, message: Notification) -> bool:
    """Send this message now instead of one that was not due yet. False if that one was sent or given up.

    Costs one statement in the caller's transaction and needs its organization's scope.
    """
    unsent = Delivery.objects.filter(id=delivery_id, state=DeliveryState.PENDING, tries=0)
    return bool(unsent.update(payload=message.as_payload(), next_try_at=timezone.now()))


def can_send_request_webhooks(api_key_id: int | None) -> bool:
    """Whether request webhooks of this key in scope, or of a person for None, have a secret and are not off."""
    return _can_sign(request_channel(), api_key_id)


def request_channel() -> Channel | None:
    """The channel of the organization in scope that signs its request webhooks and can switch them off, if any."""
    return Channel.objects.filter(kind=ChannelKind.REQUESTS, removed_at=None).first()


def _can_sign(channel: Channel | None, api_key_id: int | None) -> bool:
    if channel is not None:
        return channel.enabled
    keys = ApiKey.objects.filter(webhook_secret__isnull=False)
    return api_key_id is not None and keys.filter(pk=api_key_id).exists()


def _send(organization_id: int | None, message: Notification, **chosen: object) -> list[int]:
    with owner_scope(organization_id):
        in_use = Channel.objects.filter(enabled=True, removed_at=None, **chosen)
        channels = list(in_use.exclude(kind=ChannelKind.REQUESTS))
        Delivery.objects.bulk_create([new_delivery(organization_id, channel, message) for channel in channels])
    return [channel.pk for channel in channels]


def new_delivery(organization_id: int | None, channel: Channel | None, message: Notification) -> Delivery:
    """A delivery of this message through one channel, not saved yet."""
    return Delivery(
        organization_id=organization_id,
        channel=channel,
        message_id=f"msg_{uuid.uuid4().hex}",
        topic=message.topic,
        payload=message.as_payload(),
    )

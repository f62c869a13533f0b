"""What people do with channels and deliveries. A target's URL and a secret are in no audit event."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from aiinfra.notifications.messages import Notification
from aiinfra.notifications.models import WAITING, Channel, ChannelKind, Delivery, DeliveryState
from aiinfra.notifications.outbox import new_delivery
from aiinfra.notifications.transports import is_trusted
from aiinfra.tenants import audit
from aiinfra.tenants.scope import owner_scope

CHANNELS_MAX = 20
SECRET_BYTES = 24


class ChannelError(ValueError):
    """The channel cannot be as somebody wants it."""


def check_target(kind: str, target: str) -> None:
    """Raise ChannelError unless messages can be sent there. Where a name leads is checked when one is sent."""
    if kind == ChannelKind.EMAIL:
        try:
            validate_email(target)
        except ValidationError:
            raise ChannelError("This is not an e-mail address.") from None
        return
    try:
        parts = urlsplit(target)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ChannelError("This is not an address of the web.") from None
    if not host or any(character.isspace() or not character.isprintable() for character in target):
        raise ChannelError("This is not an address of the web.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_trusted(host)):
        raise ChannelError("The address must begin with https://.")
    if parts.username is not None or parts.password is not None:
        raise ChannelError("The address must not hold a user name or a password.")


def shown_target(channel: Channel) -> str:
    """What may be seen of it: an e-mail address, or a URL's host."""
    return channel.target if channel.kind == ChannelKind.EMAIL else urlsplit(channel.target).hostname or ""


@transaction.atomic
def add_channel(
    *, organization_id: int | None, kind: str, name: str, target: str, min_severity: str, actor: str
) -> tuple[Channel, str]:
    """A new channel, of the installation where the organization is None; and for a webhook the secret that signs, which
    is told this once. Raises ChannelError."""
    check_target(kind, target)
    secret = ""
    if kind == ChannelKind.WEBHOOK:
        secret = _new_secret()
    with owner_scope(organization_id):
        if Channel.objects.filter(removed_at=None).count() >= CHANNELS_MAX:
            raise ChannelError(f"You can have at most {CHANNELS_MAX} channels.")
        channel = Channel.objects.create(
            organization_id=organization_id,
            kind=kind,
            name=name,
            target=target,
            secret=secret,
            min_severity=min_severity,
        )
    changes = {"kind": [None, kind], "to": [None, shown_target(channel)], "min_severity": [None, str(min_severity)]}
    _record(channel, "channel.added", actor, changes)
    return channel, secret


@transaction.atomic
def change_channel(*, channel: Channel, min_severity: str, enabled: bool, actor: str) -> None:
    """Set from which severity on it gets messages, and whether at all; one that is switched off loses what waits."""
    wanted = {"min_severity": str(min_severity), "enabled": enabled}
    before = {name: getattr(channel, name) for name in wanted}
    changes = {name: [str(before[name]), str(value)] for name, value in wanted.items() if before[name] != value}
    if not changes:
        return
    channel.min_severity, channel.enabled = min_severity, enabled
    channel.save(update_fields=["min_severity", "enabled"])
    if not enabled:
        _give_up(channel, "the channel was switched off")
    _record(channel, "channel.changed", actor, changes)


@transaction.atomic
def remove_channel(*, channel: Channel, actor: str) -> None:
    """End a channel and forget its address and secret; its deliveries stay in the log."""
    name = shown_target(channel)
    channel.enabled, channel.removed_at, channel.target, channel.secret = False, timezone.now(), "", ""
    channel.save(update_fields=["enabled", "removed_at", "target", "secret"])
    _give_up(channel, "the channel was removed")
    _record(channel, "channel.removed", actor, {"to": [name, None]})


@transaction.atomic
def send_test(*, channel: Channel, actor: str) -> Delivery:
    """Put a test message in line. Raises ChannelError for a channel that is switched off."""
    if not channel.enabled:
        raise ChannelError("Switch the channel on first.")
    text = (
        f"This is a test of the channel {channel.name}. Alerts of severity {channel.min_severity} and above come here."
    )
    message = Notification(type="test", severity="low", title="Test message", text=text)
    delivery = new_delivery(channel, message)
    delivery.save(force_insert=True)
    _record(channel, "channel.tested", actor, {})
    return delivery


@transaction.atomic
def retry_delivery(*, delivery: Delivery, actor: str) -> None:
    """Send it now, with all its tries again. Raises ChannelError where that makes no sense."""
    channel = delivery.channel
    if not channel.enabled:
        raise ChannelError("The channel is removed or switched off.")
    unsent = Delivery.objects.filter(id=delivery.id, state__in=[DeliveryState.FAILED, DeliveryState.GIVEN_UP])
    if not unsent.update(state=DeliveryState.PENDING, tries=0, next_try_at=timezone.now()):
        raise ChannelError("This message is sent already, or is about to be.")
    _record(channel, "delivery.retried", actor, {"message": [None, delivery.message_id]})


def _give_up(channel: Channel, why: str) -> None:
    waiting = Delivery.objects.filter(channel=channel, state__in=WAITING)
    waiting.update(state=DeliveryState.GIVEN_UP, last_error=why)


def _new_secret() -> str:
    """As the Standard Webhooks specification writes it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def _record(channel: Channel, verb: str, actor: str, changes: Mapping[str, Sequence[str | None]]) -> None:
    audit.record(
        organization_id=channel.organization_id, actor=actor, verb=verb, target=str(channel), changes=dict(changes)
    )

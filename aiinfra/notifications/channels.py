"""Add, change, test, and remove channels, and retry deliveries. Audit events contain no URLs or secrets."""

from collections.abc import Mapping, Sequence

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from aiinfra.notifications.messages import Notification
from aiinfra.notifications.models import WAITING, Channel, ChannelKind, Delivery, DeliveryState
from aiinfra.notifications.outbox import new_delivery, request_channel
from aiinfra.signing_secrets import new_signing_secret
from aiinfra.templatetags.formats import full_stop
from aiinfra.tenants import audit
from aiinfra.tenants.scope import owner_scope
from aiinfra.webhook_urls import check_url, host_of

CHANNELS_MAX = 20
UNDECRYPTABLE = "This channel's address or secret can't be decrypted. Restore the secret key, or add the channel again."
NO_MAIL_SERVER = "This installation has no mail server, so it can't send email. Ask its operator to set EMAIL_HOST."


SIGNED = {ChannelKind.WEBHOOK, ChannelKind.REQUESTS}
SIGNED_ALREADY = "There are request webhooks already. Remove them first to get a new signing secret."
NO_TARGET = "Leave the address empty. Each request or API key names its own URL."
NOT_TESTABLE = "Request webhooks have no address of their own. Send a request that names a webhook."


class ChannelError(ValueError):
    """The channel cannot be created, changed, or used this way. The message says why."""


def why_unsendable(kind: str) -> str:
    """Why this installation can't send over this kind of channel; empty if it can."""
    return NO_MAIL_SERVER if kind == ChannelKind.EMAIL and not settings.EMAIL_HOST else ""


def problem_of(channel: Channel) -> str:
    """Why nothing can be sent over this channel; empty if it can."""
    return UNDECRYPTABLE if channel.is_undecryptable else why_unsendable(channel.kind)


def check_target(kind: str, target: str) -> None:
    """Raise ChannelError unless the target is valid. The address a host name resolves to is checked on each send."""
    if kind == ChannelKind.REQUESTS:
        if target:
            raise ChannelError(NO_TARGET)
    elif kind == ChannelKind.EMAIL:
        try:
            validate_email(target)
        except ValidationError:
            raise ChannelError("Enter a valid email address.") from None
    else:
        try:
            check_url(target)
        except ValueError as error:
            raise ChannelError(str(error)) from None


def shown_target(channel: Channel) -> str:
    """The part of the target that is safe to display and to log: `a…@example.com`, or a URL's host."""
    if channel.kind == ChannelKind.EMAIL:
        name, sign, domain = channel.target.rpartition("@")
        return f"{name[:1]}…{sign}{domain}" if sign else ""
    return host_of(channel.target)


@transaction.atomic
def add_channel(
    *, organization_id: int | None, kind: str, name: str, target: str, min_severity: str, actor: str
) -> tuple[Channel, str]:
    """Create a channel; an `organization_id` of None makes it installation-wide. Returns the channel and, for
    webhooks, their signing secret, which is never shown again. Raises ChannelError."""
    check_target(kind, target)
    _check_sendable(kind)
    secret = new_signing_secret() if kind in SIGNED else ""
    with owner_scope(organization_id):
        _check_room(kind, organization_id)
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
    """Set the minimum severity and whether the channel is enabled. Disabling it cancels its pending deliveries."""
    wanted = {"min_severity": str(min_severity), "enabled": enabled}
    before = {name: getattr(channel, name) for name in wanted}
    changes = {name: [str(before[name]), str(value)] for name, value in wanted.items() if before[name] != value}
    if not changes:
        return
    channel.min_severity, channel.enabled = min_severity, enabled
    channel.save(update_fields=["min_severity", "enabled"])
    if not enabled:
        _give_up(channel, "the channel was disabled")
    _record(channel, "channel.changed", actor, changes)


@transaction.atomic
def remove_channel(*, channel: Channel, actor: str) -> None:
    """Remove a channel and erase its address and secret. Its deliveries stay in the log."""
    name = shown_target(channel)
    channel.enabled, channel.removed_at, channel.target, channel.secret = False, timezone.now(), "", ""
    channel.save(update_fields=["enabled", "removed_at", "target", "secret"])
    _give_up(channel, "the channel was removed")
    _record(channel, "channel.removed", actor, {"to": [name, None]})


@transaction.atomic
def send_test(*, channel: Channel, actor: str) -> Delivery:
    """Queue a test message. Raises ChannelError if the channel is disabled or its kind can't be sent."""
    if not channel.enabled:
        raise ChannelError("Enable the channel first.")
    if channel.is_for_requests:
        raise ChannelError(NOT_TESTABLE)
    if problem := problem_of(channel):
        raise ChannelError(problem)
    receives = f"It receives alerts of severity {channel.min_severity} or higher."
    text = f"This is a test of channel {full_stop(channel.name)} {receives}"
    message = Notification(type="test", severity="low", title="Test message", text=text)
    delivery = new_delivery(channel.organization_id, channel, message)
    delivery.save(force_insert=True)
    _record(channel, "channel.tested", actor, {})
    return delivery


@transaction.atomic
def retry_delivery(*, delivery: Delivery, actor: str) -> None:
    """Queue a failed delivery again with a full set of attempts. Raises ChannelError if it cannot be retried."""
    channel = delivery.channel or request_channel()
    if channel is not None and not channel.enabled:
        raise ChannelError("This channel was removed or disabled.")
    unsent = Delivery.objects.filter(id=delivery.id, state__in=[DeliveryState.FAILED, DeliveryState.GIVEN_UP])
    if not unsent.update(state=DeliveryState.PENDING, tries=0, next_try_at=timezone.now()):
        raise ChannelError("This message was already sent or is about to be sent.")
    audit.record(
        organization_id=delivery.organization_id,
        actor=actor,
        verb="delivery.retried",
        target=str(channel or ChannelKind.REQUESTS.label),
        changes={"message": [None, delivery.message_id]},
    )


def _check_sendable(kind: str) -> None:
    if problem := why_unsendable(kind):
        raise ChannelError(problem)


def _check_room(kind: str, organization_id: int | None) -> None:
    """An organization signs all of its request webhooks with one secret. The installation sends no requests."""
    in_use = Channel.objects.filter(removed_at=None)
    if kind == ChannelKind.REQUESTS:
        if organization_id is None:
            raise ChannelError("Only organizations have request webhooks.")
        if in_use.filter(kind=kind).exists():
            raise ChannelError(SIGNED_ALREADY)
    if in_use.count() >= CHANNELS_MAX:
        raise ChannelError(f"You can have at most {CHANNELS_MAX} channels.")


def _give_up(channel: Channel, why: str) -> None:
    """The channel for request webhooks also stops those that were written while there was none."""
    theirs = Q(channel=channel)
    if channel.is_for_requests:
        theirs |= Q(channel=None, organization=channel.organization_id)
    waiting = Delivery.objects.filter(WAITING, theirs)
    waiting.update(state=DeliveryState.GIVEN_UP, last_error=why)


def _record(channel: Channel, verb: str, actor: str, changes: Mapping[str, Sequence[str | None]]) -> None:
    audit.record(
        organization_id=channel.organization_id, actor=actor, verb=verb, target=str(channel), changes=dict(changes)
    )

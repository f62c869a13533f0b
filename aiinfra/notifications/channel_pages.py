"""Behavior of the channel and delivery pages, for an organization and for the installation alike."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from aiinfra.notifications import channels
from aiinfra.notifications.forms import ChannelForm
from aiinfra.notifications.messages import Notification
from aiinfra.notifications.models import OF_CHANNELS, OF_REQUESTS, Channel, Delivery, DeliveryState
from aiinfra.pages import PageOwner, is_partial
from aiinfra.tenants.access import MemberRequest
from aiinfra.tenants.audit import user_actor

DELIVERIES_SHOWN = 50
TONES = {DeliveryState.SENT: "good", DeliveryState.GIVEN_UP: "bad", DeliveryState.FAILED: "warn"}


@dataclass(frozen=True)
class DeliveryRow:
    """A message in the delivery log."""

    delivery: Delivery

    @property
    def subject(self) -> str:
        """The subject of the message."""
        return Notification.of_payload(self.delivery.payload).subject

    @property
    def tone(self) -> str:
        """The color of its state."""
        return TONES.get(DeliveryState(self.delivery.state), "info")

    @property
    def is_pending(self) -> bool:
        """Whether it has not been attempted yet."""
        return self.delivery.state == DeliveryState.PENDING

    @property
    def is_retried(self) -> bool:
        """Whether sending failed and will be tried again."""
        return self.delivery.state == DeliveryState.FAILED

    @property
    def can_retry(self) -> bool:
        """Whether it can be sent again."""
        unsent = self.delivery.state in {DeliveryState.FAILED, DeliveryState.GIVEN_UP}
        return unsent and (self.delivery.channel is None or self.delivery.channel.enabled)


@dataclass(frozen=True)
class ChannelRow:
    """A channel; shows its address without secrets."""

    channel: Channel

    @property
    def address(self) -> str:
        """The part of the address that is safe to display."""
        return "the URL of each request" if self.channel.is_for_requests else channels.shown_target(self.channel)

    @property
    def problem(self) -> str:
        """Why nothing can be sent over it; empty if it can."""
        return channels.problem_of(self.channel)


def channel_list(request: MemberRequest, owner: PageOwner) -> HttpResponse:
    """Channels and their deliveries. While the test message in `test` is pending, the deliveries refresh themselves."""
    if is_partial(request):
        return render(request, "notifications/_deliveries.html", _deliveries(request, owner))
    return _page(request, owner, _form(owner))


def add(request: MemberRequest, owner: PageOwner) -> HttpResponse:
    """Add a channel; only this response shows a webhook's signing secret."""
    form = _form(owner, request.POST)
    if not form.is_valid():
        return _page(request, owner, form, status=422)
    try:
        channel, secret = channels.add_channel(
            organization_id=owner.owner_id(request), actor=user_actor(request.user), **form.cleaned_data
        )
    except channels.ChannelError as error:
        form.add_error(None, str(error))
        return _page(request, owner, form, status=422)
    return _page(request, owner, _form(owner), made=channel, secret=secret)


def set_enabled(request: MemberRequest, owner: PageOwner, channel_id: int) -> HttpResponse:
    """Set the channel to `enabled`, so that two people who both disable it leave it disabled."""
    channel = _found(channel_id)
    is_on = request.POST.get("enabled", "off" if channel.enabled else "on") == "on"
    channels.change_channel(
        channel=channel, min_severity=channel.min_severity, enabled=is_on, actor=user_actor(request.user)
    )
    messages.success(request, f"Channel {channel} {'enabled' if is_on else 'disabled'}.")
    return redirect(owner.names["notifications"])


def remove(request: MemberRequest, owner: PageOwner, channel_id: int) -> HttpResponse:
    """Remove the channel."""
    channel = _found(channel_id)
    channels.remove_channel(channel=channel, actor=user_actor(request.user))
    messages.success(request, f"Channel {channel} removed.")
    return redirect(owner.names["notifications"])


def test(request: MemberRequest, owner: PageOwner, channel_id: int) -> HttpResponse:
    """Queue a test message; the page follows it until the result is known."""
    channel = _found(channel_id)
    try:
        delivery = channels.send_test(channel=channel, actor=user_actor(request.user))
    except channels.ChannelError as error:
        messages.error(request, str(error))
        return redirect(owner.names["notifications"])
    return redirect(f"{reverse(owner.names['notifications'])}?test={delivery.pk}#deliveries")


def retry(request: MemberRequest, owner: PageOwner, delivery_id: int) -> HttpResponse:
    """Send a failed message again."""
    delivery = get_object_or_404(Delivery.objects.select_related("channel"), id=delivery_id)
    done = "Message queued again."
    return _done(
        request, owner, lambda: channels.retry_delivery(delivery=delivery, actor=user_actor(request.user)), done
    )


def _form(owner: PageOwner, *data: QueryDict) -> ChannelForm:
    return ChannelForm(*data, of_installation=owner.is_installation)


def _found(channel_id: int) -> Channel:
    return get_object_or_404(Channel, id=channel_id, removed_at=None)


def _done(request: MemberRequest, owner: PageOwner, act: Callable[[], object], done: str) -> HttpResponse:
    try:
        act()
        messages.success(request, done)
    except channels.ChannelError as error:
        messages.error(request, str(error))
    return redirect(owner.names["notifications"])


def _page(
    request: MemberRequest,
    owner: PageOwner,
    form: ChannelForm,
    *,
    status: int = 200,
    made: Channel | None = None,
    secret: str = "",
) -> HttpResponse:
    in_use = Channel.objects.filter(removed_at=None).order_by("id")
    context = {
        **_deliveries(request, owner),
        "form": form,
        "made": made,
        "secret": secret,
        "channels": [ChannelRow(channel) for channel in in_use],
    }
    return render(request, "notifications/notifications.html", context, status=status)


def _deliveries(request: MemberRequest, owner: PageOwner) -> dict[str, Any]:
    """Context of the deliveries; `tested` is the test message that the caller waits for."""
    rows = _last(OF_CHANNELS)
    wanted = request.GET.get("test")
    return {
        "owner": owner,
        "deliveries": rows,
        "webhooks": [] if owner.is_installation else _last(OF_REQUESTS),
        "tested": next((row for row in rows if str(row.delivery.pk) == wanted), None),
    }


def _last(rows: Q) -> list[DeliveryRow]:
    deliveries = Delivery.objects.filter(rows).select_related("channel").order_by("-created_at")
    return [DeliveryRow(delivery) for delivery in deliveries[:DELIVERIES_SHOWN]]

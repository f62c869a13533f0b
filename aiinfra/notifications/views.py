"""The page of channels and deliveries, an organization's and the installation's."""

from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from aiinfra.notifications import desk
from aiinfra.pages import Desk, desk_views
from aiinfra.tenants.access import MemberRequest


@desk_views("notification:manage")
@require_GET
def notifications(request: MemberRequest, whose: Desk) -> HttpResponse:
    """Channels and their deliveries."""
    return desk.show(request, whose)


@desk_views("notification:manage")
@never_cache
@require_POST
def add(request: MemberRequest, whose: Desk) -> HttpResponse:
    """Add a channel; only this response shows a webhook's signing secret."""
    return desk.add(request, whose)


@desk_views("notification:manage")
@require_POST
def switch(request: MemberRequest, whose: Desk, channel_id: int) -> HttpResponse:
    """Enable or disable a channel."""
    return desk.switch(request, whose, channel_id)


@desk_views("notification:manage")
@require_POST
def remove(request: MemberRequest, whose: Desk, channel_id: int) -> HttpResponse:
    """Remove a channel."""
    return desk.remove(request, whose, channel_id)


@desk_views("notification:manage")
@require_POST
def test(request: MemberRequest, whose: Desk, channel_id: int) -> HttpResponse:
    """Send a test message."""
    return desk.test(request, whose, channel_id)


@desk_views("notification:manage")
@require_POST
def try_again(request: MemberRequest, whose: Desk, delivery_id: int) -> HttpResponse:
    """Send a failed message again."""
    return desk.try_again(request, whose, delivery_id)

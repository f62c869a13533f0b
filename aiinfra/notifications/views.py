"""The page of an organization's channels and deliveries."""

from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from aiinfra.notifications import desk
from aiinfra.pages import ORGANIZATION
from aiinfra.tenants.access import MemberRequest, permission_required


@permission_required("notification:manage")
@require_GET
def notifications(request: MemberRequest) -> HttpResponse:
    """Channels and their deliveries."""
    return desk.show(request, ORGANIZATION)


@permission_required("notification:manage")
@never_cache
@require_POST
def add(request: MemberRequest) -> HttpResponse:
    """Add a channel; only this response shows a webhook's signing secret."""
    return desk.add(request, ORGANIZATION)


@permission_required("notification:manage")
@require_POST
def switch(request: MemberRequest, channel_id: int) -> HttpResponse:
    """Enable or disable a channel."""
    return desk.switch(request, ORGANIZATION, channel_id)


@permission_required("notification:manage")
@require_POST
def remove(request: MemberRequest, channel_id: int) -> HttpResponse:
    """Remove a channel."""
    return desk.remove(request, ORGANIZATION, channel_id)


@permission_required("notification:manage")
@require_POST
def test(request: MemberRequest, channel_id: int) -> HttpResponse:
    """Send a test message."""
    return desk.test(request, ORGANIZATION, channel_id)


@permission_required("notification:manage")
@require_POST
def try_again(request: MemberRequest, delivery_id: int) -> HttpResponse:
    """Send a failed message again."""
    return desk.try_again(request, ORGANIZATION, delivery_id)

"""The page of channels and deliveries, an organization's and the installation's."""

from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from aiinfra.notifications import channel_pages
from aiinfra.pages import PageOwner, owner_views
from aiinfra.tenants.access import MemberRequest
from aiinfra.tenants.staff import StaffRight


@owner_views("notification:manage", StaffRight.MANAGE_NOTIFICATIONS)
@require_GET
def notifications(request: MemberRequest, owner: PageOwner) -> HttpResponse:
    """Channels and their deliveries."""
    return channel_pages.channel_list(request, owner)


@owner_views("notification:manage", StaffRight.MANAGE_NOTIFICATIONS)
@never_cache
@require_POST
def add(request: MemberRequest, owner: PageOwner) -> HttpResponse:
    """Add a channel; only this response shows a webhook's signing secret."""
    return channel_pages.add(request, owner)


@owner_views("notification:manage", StaffRight.MANAGE_NOTIFICATIONS)
@require_POST
def switch(request: MemberRequest, owner: PageOwner, channel_id: int) -> HttpResponse:
    """Enable or disable a channel."""
    return channel_pages.set_enabled(request, owner, channel_id)


@owner_views("notification:manage", StaffRight.MANAGE_NOTIFICATIONS)
@require_POST
def remove(request: MemberRequest, owner: PageOwner, channel_id: int) -> HttpResponse:
    """Remove a channel."""
    return channel_pages.remove(request, owner, channel_id)


@owner_views("notification:manage", StaffRight.MANAGE_NOTIFICATIONS)
@require_POST
def test(request: MemberRequest, owner: PageOwner, channel_id: int) -> HttpResponse:
    """Send a test message."""
    return channel_pages.test(request, owner, channel_id)


@owner_views("notification:manage", StaffRight.MANAGE_NOTIFICATIONS)
@require_POST
def try_again(request: MemberRequest, owner: PageOwner, delivery_id: int) -> HttpResponse:
    """Send a failed message again."""
    return channel_pages.retry(request, owner, delivery_id)

"""The page of the installation's channels and deliveries; for staff."""

from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from aiinfra.notifications import desk
from aiinfra.pages import INSTALLATION
from aiinfra.tenants.access import MemberRequest, installation_required


@installation_required
@require_GET
def notifications(request: MemberRequest) -> HttpResponse:
    """Channels and their deliveries."""
    return desk.show(request, INSTALLATION)


@installation_required
@never_cache
@require_POST
def add(request: MemberRequest) -> HttpResponse:
    """Add a channel; only this response shows a webhook's signing secret."""
    return desk.add(request, INSTALLATION)


@installation_required
@require_POST
def switch(request: MemberRequest, channel_id: int) -> HttpResponse:
    """Enable or disable a channel."""
    return desk.switch(request, INSTALLATION, channel_id)


@installation_required
@require_POST
def remove(request: MemberRequest, channel_id: int) -> HttpResponse:
    """Remove a channel."""
    return desk.remove(request, INSTALLATION, channel_id)


@installation_required
@require_POST
def test(request: MemberRequest, channel_id: int) -> HttpResponse:
    """Send a test message."""
    return desk.test(request, INSTALLATION, channel_id)


@installation_required
@require_POST
def try_again(request: MemberRequest, delivery_id: int) -> HttpResponse:
    """Send a failed message again."""
    return desk.try_again(request, INSTALLATION, delivery_id)

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
    """Channels and what was sent on them."""
    return desk.show(request, ORGANIZATION)


@permission_required("notification:manage")
@never_cache
@require_POST
def add(request: MemberRequest) -> HttpResponse:
    """A new channel; the secret of a webhook is on this answer and never again."""
    return desk.add(request, ORGANIZATION)


@permission_required("notification:manage")
@require_POST
def switch(request: MemberRequest, channel_id: int) -> HttpResponse:
    """Send on it, or not."""
    return desk.switch(request, ORGANIZATION, channel_id)


@permission_required("notification:manage")
@require_POST
def remove(request: MemberRequest, channel_id: int) -> HttpResponse:
    """End it."""
    return desk.remove(request, ORGANIZATION, channel_id)


@permission_required("notification:manage")
@require_POST
def test(request: MemberRequest, channel_id: int) -> HttpResponse:
    """A message of no importance."""
    return desk.test(request, ORGANIZATION, channel_id)


@permission_required("notification:manage")
@require_POST
def try_again(request: MemberRequest, delivery_id: int) -> HttpResponse:
    """Send a message that failed once more."""
    return desk.try_again(request, ORGANIZATION, delivery_id)

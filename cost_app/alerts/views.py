"""The pages of an organization's alerts."""

from django.http import HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from aiinfra.pages import ORGANIZATION
from aiinfra.tenants.access import MemberRequest, permission_required
from cost_app.alerts import desk, lifecycle


@permission_required("cost:read")
@require_GET
@cache_control(private=True, no_cache=True)
@vary_on_headers("HX-Request")
def alerts(request: MemberRequest) -> HttpResponse:
    """The inbox, newest first; for HTMX only the list."""
    return desk.list_page(request, ORGANIZATION)


@permission_required("cost:read")
@require_GET
def alert(request: MemberRequest, alert_id: int) -> HttpResponse:
    """One alert with its explanation."""
    return desk.alert_page(request, ORGANIZATION, alert_id)


@permission_required("alert:write")
@require_POST
def acknowledge(request: MemberRequest, alert_id: int) -> HttpResponse:
    """Acknowledge an alert."""
    return desk.act(request, ORGANIZATION, alert_id, lifecycle.acknowledge, "Alert acknowledged.")


@permission_required("alert:write")
@require_POST
def resolve(request: MemberRequest, alert_id: int) -> HttpResponse:
    """Resolve an alert."""
    return desk.act(request, ORGANIZATION, alert_id, lifecycle.resolve, "Alert resolved.")


@permission_required("alert:write")
@require_POST
def snooze(request: MemberRequest, alert_id: int) -> HttpResponse:
    """Snooze an alert."""
    return desk.put_off(request, ORGANIZATION, alert_id)


@permission_required("alert:write")
@require_POST
def acknowledge_many(request: MemberRequest) -> HttpResponse:
    """Acknowledge the selected alerts."""
    return desk.acknowledge_chosen(request, ORGANIZATION)

"""The pages of alerts, an organization's and the installation's."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from aiinfra.pages import Desk, desk_views
from aiinfra.tenants.access import MemberRequest, permission_required
from cost_app.alerts import desk, lifecycle


@desk_views("cost:read")
@require_GET
@cache_control(private=True, no_cache=True)
@vary_on_headers("HX-Request")
def alerts(request: MemberRequest, whose: Desk) -> HttpResponse:
    """The inbox, newest first; for HTMX only the list."""
    return desk.list_page(request, whose)


@desk_views("cost:read")
@require_GET
def alert(request: MemberRequest, whose: Desk, alert_id: int) -> HttpResponse:
    """One alert with its explanation."""
    return desk.alert_page(request, whose, alert_id)


@permission_required("cost:read")
@require_GET
def alert_count(request: MemberRequest) -> HttpResponse:
    """The number in the navigation, when it has changed."""
    return render(request, "cost/alerts/_count.html")


@desk_views("alert:write")
@require_POST
def acknowledge(request: MemberRequest, whose: Desk, alert_id: int) -> HttpResponse:
    """Acknowledge an alert."""
    return desk.act(request, whose, alert_id, lifecycle.acknowledge, "Alert acknowledged.")


@desk_views("alert:write")
@require_POST
def resolve(request: MemberRequest, whose: Desk, alert_id: int) -> HttpResponse:
    """Resolve an alert."""
    return desk.act(request, whose, alert_id, lifecycle.resolve, "Alert resolved.")


@desk_views("alert:write")
@require_POST
def snooze(request: MemberRequest, whose: Desk, alert_id: int) -> HttpResponse:
    """Snooze an alert."""
    return desk.put_off(request, whose, alert_id)


@desk_views("alert:write")
@require_POST
def acknowledge_many(request: MemberRequest, whose: Desk) -> HttpResponse:
    """Acknowledge the selected alerts."""
    return desk.acknowledge_chosen(request, whose)

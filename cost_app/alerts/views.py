"""The pages of alerts, an organization's and the installation's."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from aiinfra.pages import PageOwner, owner_views
from aiinfra.tenants.access import MemberRequest, permission_required
from aiinfra.tenants.staff import StaffRight
from cost_app.alerts import alert_pages, lifecycle


@owner_views("cost:read", StaffRight.MANAGE_ALERTS)
@require_GET
@vary_on_headers("HX-Request")
def alerts(request: MemberRequest, owner: PageOwner) -> HttpResponse:
    """The inbox, newest first; for HTMX only the list."""
    return alert_pages.list_page(request, owner)


@owner_views("cost:read", StaffRight.MANAGE_ALERTS)
@require_GET
def alert(request: MemberRequest, owner: PageOwner, alert_id: int) -> HttpResponse:
    """One alert with its explanation."""
    return alert_pages.alert_page(request, owner, alert_id)


@permission_required("cost:read")
@require_GET
def alert_count(request: MemberRequest) -> HttpResponse:
    """The number in the navigation, when it has changed."""
    return render(request, "cost/alerts/_count.html")


@owner_views("alert:write", StaffRight.MANAGE_ALERTS)
@require_POST
def acknowledge(request: MemberRequest, owner: PageOwner, alert_id: int) -> HttpResponse:
    """Acknowledge an alert."""
    return alert_pages.apply_action(request, owner, alert_id, lifecycle.acknowledge, "Alert acknowledged.")


@owner_views("alert:write", StaffRight.MANAGE_ALERTS)
@require_POST
def resolve(request: MemberRequest, owner: PageOwner, alert_id: int) -> HttpResponse:
    """Resolve an alert."""
    return alert_pages.apply_action(request, owner, alert_id, lifecycle.resolve, "Alert resolved.")


@owner_views("alert:write", StaffRight.MANAGE_ALERTS)
@require_POST
def snooze(request: MemberRequest, owner: PageOwner, alert_id: int) -> HttpResponse:
    """Snooze an alert."""
    return alert_pages.snooze_alert(request, owner, alert_id)


@owner_views("alert:write", StaffRight.MANAGE_ALERTS)
@require_POST
def acknowledge_many(request: MemberRequest, owner: PageOwner) -> HttpResponse:
    """Acknowledge the selected alerts."""
    return alert_pages.acknowledge_selected(request, owner)

"""The pages of the installation's alerts; for staff."""

from django.http import HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from aiinfra.pages import INSTALLATION
from aiinfra.tenants.access import MemberRequest, installation_required
from cost_app.alerts import desk, lifecycle


@installation_required
@require_GET
@cache_control(private=True, no_cache=True)
@vary_on_headers("HX-Request")
def alerts(request: MemberRequest) -> HttpResponse:
    """The inbox, newest first; for HTMX only the list."""
    return desk.list_page(request, INSTALLATION)


@installation_required
@require_GET
def alert(request: MemberRequest, alert_id: int) -> HttpResponse:
    """One alert with its explanation."""
    return desk.alert_page(request, INSTALLATION, alert_id)


@installation_required
@require_POST
def acknowledge(request: MemberRequest, alert_id: int) -> HttpResponse:
    """Acknowledge an alert."""
    return desk.act(request, INSTALLATION, alert_id, lifecycle.acknowledge, "Alert acknowledged.")


@installation_required
@require_POST
def resolve(request: MemberRequest, alert_id: int) -> HttpResponse:
    """Resolve an alert."""
    return desk.act(request, INSTALLATION, alert_id, lifecycle.resolve, "Alert resolved.")


@installation_required
@require_POST
def snooze(request: MemberRequest, alert_id: int) -> HttpResponse:
    """Snooze an alert."""
    return desk.put_off(request, INSTALLATION, alert_id)


@installation_required
@require_POST
def acknowledge_many(request: MemberRequest) -> HttpResponse:
    """Acknowledge the selected alerts."""
    return desk.acknowledge_chosen(request, INSTALLATION)

"""The pages of alerts."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from aiinfra.pages import is_partial, tell
from aiinfra.row_ids import is_row_id
from aiinfra.tenants.access import MemberRequest, permission_required
from cost_app.alerts import lifecycle
from cost_app.models import Alert, AlertKind, AlertState, BudgetWindow, Severity

PAGE_SIZE = 50
NOT_RESOLVED = "live"
STATES = {NOT_RESOLVED: "Not resolved", **{state.value: state.label for state in AlertState}, "all": "All"}
SNOOZES = {"1h": "1 hour", "1d": "1 day", "period": "Until the budget's period ends"}


@permission_required("cost:read")
@require_GET
@cache_control(private=True, no_cache=True)
@vary_on_headers("HX-Request")
def alerts(request: MemberRequest) -> HttpResponse:
    """The inbox, newest first; for HTMX the list alone."""
    return _list(request)


@permission_required("cost:read")
@require_GET
def alert(request: MemberRequest, alert_id: int) -> HttpResponse:
    """One alert with its explanation."""
    found = get_object_or_404(Alert.objects.select_related("budget"), id=alert_id)
    return render(request, "cost/alerts/alert.html", _detail(request, found))


@permission_required("alert:write")
@require_POST
def acknowledge(request: MemberRequest, alert_id: int) -> HttpResponse:
    """Somebody looks after it."""
    return _act(request, alert_id, lifecycle.acknowledge, "The alert is acknowledged.")


@permission_required("alert:write")
@require_POST
def resolve(request: MemberRequest, alert_id: int) -> HttpResponse:
    """Close it."""
    return _act(request, alert_id, lifecycle.resolve, "The alert is resolved.")


@permission_required("alert:write")
@require_POST
def snooze(request: MemberRequest, alert_id: int) -> HttpResponse:
    """Put it off."""
    chosen = request.POST.get("for", "1h")
    if chosen not in SNOOZES:
        raise Http404

    def put_off(found: Alert, *, actor: str) -> None:
        lifecycle.snooze(found, _until(found, chosen), actor=actor)

    return _act(request, alert_id, put_off, "The alert is snoozed.")


@permission_required("alert:write")
@require_POST
def acknowledge_many(request: MemberRequest) -> HttpResponse:
    """The ticked ones."""
    count = 0
    chosen = [each for each in request.POST.getlist("id") if is_row_id(each)][:PAGE_SIZE]
    for found in Alert.objects.filter(id__in=chosen):
        try:
            lifecycle.acknowledge(found, actor=request.principal.actor)
            count += 1
        except lifecycle.WrongStateError:
            continue
    text = f"{count} {'alert' if count == 1 else 'alerts'} acknowledged." if count else "No alert was chosen."
    return tell(
        request, _list(request) if request.htmx else redirect("alerts"), "success" if count else "warning", text
    )


def _until(found: Alert, chosen: str) -> datetime:
    """An hour, a day, or the end of the budget's window; a day for an alert without a budget."""
    now = timezone.now()
    if chosen == "period" and found.budget_id:
        window = BudgetWindow.objects.filter(budget_id=found.budget_id, ends_at__gt=now).order_by("starts_at").first()
        if window:
            return window.ends_at
    return now + (timedelta(hours=1) if chosen == "1h" else timedelta(days=1))


def _list(request: MemberRequest) -> HttpResponse:
    state = request.GET.get("state", NOT_RESOLVED)
    kind, severity = request.GET.get("kind", ""), request.GET.get("severity", "")
    rows = _narrowed(state, kind, severity)
    cursor = request.GET.get("before", "")
    if is_row_id(cursor):
        rows = rows.filter(id__lt=int(cursor))
    page = list(rows.order_by("-id")[: PAGE_SIZE + 1])
    context = {
        "alerts": page[:PAGE_SIZE],
        "older": page[PAGE_SIZE - 1].id if len(page) > PAGE_SIZE else None,
        "is_later_page": bool(cursor),
        "filters": {"state": state, "kind": kind, "severity": severity},
        "states": STATES,
        "kinds": {"": "All", **dict(AlertKind.choices)},
        "severities": {"": "All", **dict(Severity.choices)},
        "is_filtered": bool(kind or severity or state != NOT_RESOLVED),
        "can_write": request.principal.can("alert:write"),
    }
    return render(request, "cost/alerts/_alerts.html" if is_partial(request) else "cost/alerts/alerts.html", context)


def _narrowed(state: str, kind: str, severity: str) -> Any:
    """What the filters leave; a filter that is none leaves all."""
    rows = Alert.objects.all()
    if state in AlertState.values:
        rows = rows.filter(state=state)
    elif state != "all":
        rows = rows.filter(state__in=lifecycle.LIVE)
    if kind in AlertKind.values:
        rows = rows.filter(kind=kind)
    return rows.filter(severity=severity) if severity in Severity.values else rows


def _act(request: MemberRequest, alert_id: int, act: Callable[..., None], done: str) -> HttpResponse:
    found = get_object_or_404(Alert.objects.select_related("budget"), id=alert_id)
    try:
        act(found, actor=request.principal.actor)
        level, text = "success", done
    except lifecycle.WrongStateError as error:
        level, text = "error", f"{error}.".capitalize()
    if not request.htmx:
        return tell(request, redirect("alert", alert_id), level, text)
    context = _detail(request, found)
    status = 200 if level == "success" else 422
    return tell(request, render(request, "cost/alerts/_alert.html", context, status=status), level, text)


def _detail(request: MemberRequest, found: Alert) -> dict[str, Any]:
    return {
        "alert": found,
        "is_live": found.state in lifecycle.LIVE,
        "snoozes": SNOOZES,
        "can_write": request.principal.can("alert:write"),
    }

"""The alert pages of organizations and of the installation. The scope determines whose alerts they show."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django_htmx.http import trigger_client_event

from aiinfra.failures import WrongStateError
from aiinfra.keyset import page_links, page_or_first, row_page
from aiinfra.money import NANO
from aiinfra.pages import PageOwner, is_partial, with_toast
from aiinfra.plurals import plural
from aiinfra.row_ids import is_row_id
from aiinfra.templatetags.formats import PLACES_MIN, money_places
from aiinfra.tenants.access import MemberRequest
from aiinfra.tenants.audit import user_actor
from cost_app.alerts import lifecycle
from cost_app.alerts.links import links_of
from cost_app.budgets.names import budget_names
from cost_app.models import COST_KINDS, STAFF_KINDS, Alert, AlertKind, AlertState, BudgetWindow, Dimension, Severity

PAGE_SIZE = 50
NOT_RESOLVED = "live"
STATES = {NOT_RESOLVED: "Unresolved", **{state.value: state.label for state in AlertState}, "all": "All"}
EFFECTS = ("change", "volume", "mix", "price")
"""The amounts in an explanation, which are compared with each other."""
SNOOZES = {"1h": "1 hour", "1d": "1 day", "period": "Until the budget's period ends"}


def list_page(request: MemberRequest, owner: PageOwner) -> HttpResponse:
    """The inbox, newest first; for HTMX only the list."""
    state = request.GET.get("state", NOT_RESOLVED)
    kind, severity = request.GET.get("kind", ""), request.GET.get("severity", "")
    rows = _narrowed(state, kind, severity)
    cursor = request.GET.get("cursor", "")
    page = page_or_first(lambda place: row_page(rows, "id", cursor=place, size=PAGE_SIZE), cursor)
    chosen = {name: request.GET[name] for name in ("state", "kind", "severity") if request.GET.get(name)}
    context = {
        "owner": owner,
        "alerts": page.rows,
        **page_links(chosen, cursor, page.next_cursor),
        "chosen": {"state": state, "kind": kind, "severity": severity},
        "states": STATES,
        "kinds": {"": "All", **{kind.value: kind.heading for kind in AlertKind if kind not in _never(owner)}},
        "severities": {"": "All", **dict(Severity.choices)},
        "is_filtered": bool(kind or severity or state != NOT_RESOLVED),
        "can_write": owner.allows(request, "alert:write"),
        "can_manage": owner.allows(request, "alert:manage"),
    }
    return render(request, "cost/alerts/_alerts.html" if is_partial(request) else "cost/alerts/alerts.html", context)


def alert_page(request: MemberRequest, owner: PageOwner, alert_id: int) -> HttpResponse:
    """One alert with its explanation."""
    return render(request, "cost/alerts/alert.html", _detail(request, owner, _found(alert_id)))


def acknowledge_selected(request: MemberRequest, owner: PageOwner) -> HttpResponse:
    """Acknowledge the selected alerts."""
    count = 0
    chosen = [each for each in request.POST.getlist("id") if is_row_id(each)][:PAGE_SIZE]
    for found in Alert.objects.filter(id__in=chosen):
        try:
            lifecycle.acknowledge(found, actor=user_actor(request.user))
            count += 1
        except WrongStateError:
            continue
    text = f"{plural(count, 'alert')} acknowledged." if count else "No alerts selected."
    response = _changed(list_page(request, owner)) if request.htmx else redirect(owner.names["alerts"])
    return with_toast(request, response, "success" if count else "warning", text)


def apply_action(
    request: MemberRequest, owner: PageOwner, alert_id: int, action: Callable[..., None], done: str
) -> HttpResponse:
    """Apply an action to one alert, and show it again."""
    found = _found(alert_id)
    try:
        action(found, actor=user_actor(request.user))
        level, text = "success", done
    except WrongStateError as error:
        level, text = "error", str(error)
    if not request.htmx:
        return with_toast(request, redirect(owner.names["alert"], alert_id), level, text)
    context = _detail(request, owner, found)
    status = 200 if level == "success" else 422
    return with_toast(
        request, _changed(render(request, "cost/alerts/_alert.html", context, status=status)), level, text
    )


def _changed(response: HttpResponse) -> HttpResponse:
    """Update the number in the navigation."""
    return trigger_client_event(response, "alerts-changed")


def snooze_alert(request: MemberRequest, owner: PageOwner, alert_id: int) -> HttpResponse:
    """Snooze one alert as long as the form says."""
    chosen = request.POST.get("for", "1h")
    if chosen not in SNOOZES:
        raise Http404

    def snooze(found: Alert, *, actor: str) -> None:
        lifecycle.snooze(found, _until(found, chosen), actor=actor)

    return apply_action(request, owner, alert_id, snooze, "Alert snoozed.")


def _never(owner: PageOwner) -> frozenset[AlertKind]:
    """The kinds that cannot occur here."""
    return COST_KINDS if owner.is_installation else STAFF_KINDS


def _found(alert_id: int) -> Alert:
    return get_object_or_404(Alert.objects.select_related("budget"), id=alert_id)


def _until(found: Alert, chosen: str) -> datetime:
    """An hour, a day, or the end of the budget's window; a day for an alert without a budget."""
    now = timezone.now()
    if chosen == "period" and found.budget_id:
        window = BudgetWindow.objects.filter(budget_id=found.budget_id, ends_at__gt=now).order_by("starts_at").first()
        if window:
            return window.ends_at
    return now + (timedelta(hours=1) if chosen == "1h" else timedelta(days=1))


def _narrowed(state: str, kind: str, severity: str) -> Any:
    """Apply the filters; an invalid filter shows all."""
    rows = Alert.objects.all()
    if state in AlertState.values:
        rows = rows.filter(state=state)
    elif state != "all":
        rows = rows.filter(resolved_at=None, state__in=lifecycle.LIVE)
    if kind in AlertKind.values:
        rows = rows.filter(kind=kind)
    return rows.filter(severity=severity) if severity in Severity.values else rows


def _effect_places(why: dict[str, Any]) -> int:
    """The decimals of all effects in the sentence that compares them: cents, unless the largest is below a dollar."""
    largest = max(abs(why.get(name, 0)) for name in EFFECTS)
    return PLACES_MIN if largest >= NANO else money_places([largest])


def _detail(request: MemberRequest, owner: PageOwner, found: Alert) -> dict[str, Any]:
    why = found.explanation
    return {
        "owner": owner,
        "alert": found,
        "budget_name": budget_names([found.budget])[found.budget.id] if found.budget else None,
        "contributors": [{**each, "noun": Dimension(each["dimension"]).noun} for each in why.get("contributors", [])],
        "links": [] if owner.is_installation else links_of(found),
        "effect_places": _effect_places(why),
        "since": parse_date(why.get("from", "")),
        "compared_since": parse_date(why.get("comparedFrom", "")),
        "is_live": found.state in lifecycle.LIVE,
        "snoozes": {name: text for name, text in SNOOZES.items() if found.budget_id or name != "period"},
        "can_write": owner.allows(request, "alert:write"),
    }

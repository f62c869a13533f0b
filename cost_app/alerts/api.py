"""The JSON operations of alerts."""

from datetime import timedelta

from django.utils import timezone

from aiinfra.api import ApiCall, Operation
from aiinfra.failures import ApiError, WrongStateError, not_found
from aiinfra.money import dollars
from aiinfra.row_ids import is_row_id
from cost_app.alerts import lifecycle
from cost_app.alerts.payloads import AlertList, AlertOut, AlertReference, AlertsQuery, SnoozeAlert
from cost_app.models import Alert

LIST_MAX = 100
SNOOZE = timedelta(hours=1)
SNOOZE_MAX = timedelta(days=31)


def get_alerts(call: ApiCall, payload: AlertsQuery) -> AlertList:
    """Unresolved alerts."""
    wanted = None if payload.acknowledged is None else payload.acknowledged == "true"
    return alert_list(call.principal.organization_id, wanted)


def alert_list(organization_id: int, acknowledged: bool | None) -> AlertList:
    """The organization's unresolved alerts, in its scope; None returns acknowledged and unacknowledged ones."""
    alerts = lifecycle.get_alerts(organization_id, acknowledged)
    return AlertList(alerts=[_out(alert) for alert in alerts[:LIST_MAX]])


def acknowledge_alert(call: ApiCall, payload: AlertReference) -> AlertOut:
    """Acknowledge an alert."""
    alert = _found(payload.alert_id)
    try:
        lifecycle.acknowledge(alert, actor=call.principal.actor)
    except WrongStateError as error:
        raise _wrong_state(error) from None
    return _out(alert)


def snooze_alert(call: ApiCall, payload: SnoozeAlert) -> AlertOut:
    """Hide an alert for a while."""
    alert = _found(payload.alert_id)
    now = timezone.now()
    until = payload.until or now + SNOOZE
    if not now < until <= now + SNOOZE_MAX:
        raise ApiError(400, "invalid_request", "An alert can be snoozed for at most 31 days.", param="until")
    try:
        lifecycle.snooze(alert, until, actor=call.principal.actor)
    except WrongStateError as error:
        raise _wrong_state(error) from None
    return _out(alert)


def resolve_alert(call: ApiCall, payload: AlertReference) -> AlertOut:
    """Resolve an alert for its window."""
    alert = _found(payload.alert_id)
    try:
        lifecycle.resolve(alert, actor=call.principal.actor)
    except WrongStateError as error:
        raise _wrong_state(error) from None
    return _out(alert)


def _found(alert_id: str) -> Alert:
    alert = Alert.objects.filter(id=int(alert_id)).first() if is_row_id(alert_id) else None
    if alert is None:
        raise not_found()
    return alert


def _wrong_state(error: WrongStateError) -> ApiError:
    return ApiError(409, "wrong_status", str(error), param="alertId")


def _out(alert: Alert) -> AlertOut:
    return AlertOut(
        alert_id=str(alert.id),
        type=alert.kind,
        severity=alert.severity,
        status=alert.state,
        message=alert.message,
        current_cost=None if alert.current_nano is None else dollars(alert.current_nano),
        budget_limit=None if alert.budget_id is None or alert.limit_nano is None else dollars(alert.limit_nano),
        threshold=alert.threshold_percent,
        budget_id=None if alert.budget_id is None else str(alert.budget_id),
        opened_at=alert.opened_at,
        snoozed_until=alert.snoozed_until,
        explanation=alert.explanation,
    )


OPERATIONS: dict[tuple[str, str | None], Operation] = {
    ("GET", "alerts"): Operation(get_alerts, "cost:read", AlertsQuery, AlertList, "List unresolved alerts"),
    ("POST", "acknowledge-alert"): Operation(
        acknowledge_alert, "alert:write", AlertReference, AlertOut, "Acknowledge an alert"
    ),
    ("POST", "snooze-alert"): Operation(snooze_alert, "alert:write", SnoozeAlert, AlertOut, "Snooze an alert"),
    ("POST", "resolve-alert"): Operation(resolve_alert, "alert:write", AlertReference, AlertOut, "Resolve an alert"),
}

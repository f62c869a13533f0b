"""The life of an alert: raised once per cause, acknowledged, snoozed, resolved by a person or because the cause has
ended.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from aiinfra.failures import WrongStateError
from aiinfra.tenants import audit
from cost_app.alerts import events
from cost_app.alerts.cause import Cause
from cost_app.alerts.notify import notify_resolved
from cost_app.models import Alert, AlertState

RETRY_DELAY = timedelta(minutes=5)
"""The specification's alertRetryDelay: an alert is not sent again sooner than this."""
ENDED_AFTER = timedelta(minutes=3)
"""Causes are checked every minute: one that was not seen for this long had ended."""
SEEN_UPDATE_INTERVAL = timedelta(seconds=5)
"""Folds run twice per second; a continuing cause need not be written each time."""
COUNT_MAX = 100
NOT_ENDED = {"resolved_at": None, "resolved_by": "", "snoozed_until": None}
LIVE = (AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.SNOOZED)


@transaction.atomic
def raise_alert(
    organization_id: int | None, cause: Cause, explanation: dict[str, Any], now: datetime
) -> tuple[Alert, bool]:
    """The cause's alert, and whether to send it: it is new, came back or woke from a snooze, and was not sent within 5
    minutes.

    Someone who resolved it by hand has seen it: it then stays silent while the cause lasts.
    """
    columns: dict[str, Any] = {
        "kind": cause.kind,
        "severity": cause.severity,
        "message": cause.message,
        "budget": cause.budget,
        "current_nano": cause.current_nano,
        "limit_nano": cause.limit_nano,
        "threshold_percent": cause.threshold_percent,
        "last_seen_at": now,
    }
    # Locked: one of several schedulers opens it again, so that the others see that it has been sent.
    alert, is_new = Alert.objects.select_for_update().get_or_create(
        **_of(organization_id),
        cause=cause.name,
        defaults={**columns, "opened_at": cause.began_at or now, "explanation": {**explanation, **cause.facts}},
    )
    columns["explanation"] = {**alert.explanation, **explanation, **cause.facts}
    is_opened = is_new or _opens_again(alert, now)
    if is_opened and not is_new:
        columns |= {"state": AlertState.OPEN, "opened_at": now, **NOT_ENDED}
    elif not is_new and now - alert.last_seen_at < SEEN_UPDATE_INTERVAL and not _is_unsent(alert):
        return alert, False
    if not is_new:
        Alert.objects.filter(id=alert.id).update(**columns)
        alert.refresh_from_db()
    if is_opened:
        events.publish_change(alert)
    return alert, _is_unsent(alert) and _may_notify(alert, now)


def _opens_again(alert: Alert, now: datetime) -> bool:
    """A snooze is over, or a cause is back: it was resolved automatically, or by hand and then gone for a while."""
    if alert.state == AlertState.SNOOZED:
        return alert.snoozed_until is not None and alert.snoozed_until <= now
    had_ended = not alert.resolved_by or now - alert.last_seen_at > ENDED_AFTER
    return alert.state == AlertState.RESOLVED and had_ended


def _is_unsent(alert: Alert) -> bool:
    """No one was notified since it opened."""
    return alert.state == AlertState.OPEN and (alert.told_at is None or alert.told_at < alert.opened_at)


def _may_notify(alert: Alert, now: datetime) -> bool:
    """One of two concurrent checks sends it; if it is too early now, a later check sends it."""
    silent = Alert.objects.filter(id=alert.id, told_at=alert.told_at).exclude(told_at__gt=now - RETRY_DELAY)
    return bool(silent.update(told_at=now))


def resolve_ended(
    organization_id: int | None, kinds: Collection[str], causes: Sequence[Cause], now: datetime, kept: Collection[str]
) -> None:
    """Resolve every alert of these kinds whose cause is gone, and notify everyone who received it. `kept` names further
    causes that continue.
    """
    live_ones = Alert.objects.filter(**_of(organization_id), kind__in=kinds, resolved_at=None, state__in=LIVE)
    for alert in live_ones.exclude(cause__in=[*kept, *(cause.name for cause in causes)]):
        _end(alert, causes, now)


def _of(organization_id: int | None) -> dict[str, Any]:
    """The owner as a condition; None is the installation."""
    return {"organization_id": organization_id}


@transaction.atomic
def _end(alert: Alert, causes: Sequence[Cause], now: datetime) -> None:
    """One of several schedulers resolves it, and sends the notification in the same transaction."""
    ended = Alert.objects.filter(id=alert.pk, state__in=LIVE).update(
        state=AlertState.RESOLVED, resolved_at=now, resolved_by="", snoozed_until=None
    )
    if ended:
        alert.refresh_from_db()
        events.publish_change(alert)
        others = (cause.message for cause in causes if cause.budget and cause.budget.pk == alert.budget_id)
        notify_resolved(alert, next(others, ""))


def acknowledge(alert: Alert, *, actor: str) -> None:
    """Acknowledge an alert. Raises WrongStateError."""
    now = timezone.now()
    _move(alert, actor, "acknowledged", state=AlertState.ACKNOWLEDGED, acknowledged_at=now, acknowledged_by=actor)


def snooze(alert: Alert, until: datetime, *, actor: str) -> None:
    """Hide an alert until an instant. Raises WrongStateError."""
    _move(alert, actor, "snoozed", state=AlertState.SNOOZED, snoozed_until=until)


@transaction.atomic
def resolve(alert: Alert, *, actor: str) -> None:
    """Resolve an alert for its window, and notify everyone who received it. Raises WrongStateError."""
    now = timezone.now()
    _move(alert, actor, "resolved", state=AlertState.RESOLVED, resolved_at=now, resolved_by=actor, snoozed_until=None)
    notify_resolved(alert)


@transaction.atomic
def _move(alert: Alert, actor: str, verb: str, **columns: Any) -> None:
    if not Alert.objects.filter(id=alert.id, state__in=LIVE).update(**columns):
        raise WrongStateError("This alert is already resolved.")
    audit.record(
        organization_id=alert.organization_id,
        actor=actor,
        verb=f"alert.{verb}",
        target=f"alert {alert.pk}: {alert.message}"[:200],
        changes={"state": [alert.state, columns["state"]]},
    )
    alert.refresh_from_db()
    events.publish_change(alert)


def open_alerts() -> int:
    """How many alerts in scope no one has acknowledged, counted up to `COUNT_MAX`. One query on the index of unresolved
    alerts.
    """
    return Alert.objects.filter(resolved_at=None, state=AlertState.OPEN)[:COUNT_MAX].count()


def get_alerts(organization_id: int, acknowledged: bool | None = False) -> QuerySet[Alert]:
    """Unresolved alerts, newest first: unacknowledged, acknowledged, or both for None."""
    unresolved = Alert.objects.filter(organization_id=organization_id, resolved_at=None, state__in=LIVE)
    alerts = unresolved.order_by("-opened_at", "-id")
    if acknowledged is None:
        return alerts
    wanted = [AlertState.ACKNOWLEDGED] if acknowledged else [AlertState.OPEN, AlertState.SNOOZED]
    return alerts.filter(state__in=wanted)

"""Notifications about an alert: once when it opens, once when it is resolved."""

from typing import Any

from aiinfra.money import dollars
from aiinfra.notifications.messages import ALERT_OPENED, ALERT_RESOLVED, Notification
from aiinfra.notifications.outbox import send, send_to
from aiinfra.templatetags.formats import money
from cost_app.models import Alert, Dimension


def notify_opened(alert: Alert) -> None:
    """Send the alert to the channels, in the transaction that raised it; delivery happens later and blocks no one."""
    notified = send(alert.organization_id, _notification(alert, ALERT_OPENED, _title(alert), alert.message))
    alert.told_channels = sorted({*alert.told_channels, *notified})
    alert.save(update_fields=["told_channels"])


def notify_resolved(alert: Alert, successor: str = "") -> None:
    """Notify the channels that received the alert that it is resolved, in the transaction that resolved it.

    `successor` is the message of the alert of the same budget that takes its place. Channels that never received the
    alert get nothing.
    """
    if not alert.told_channels:
        return
    changes = {
        "resolvedAt": alert.resolved_at.isoformat() if alert.resolved_at else None,
        "resolvedBy": alert.resolved_by or None,
        "resolution": "superseded" if successor else "manual" if alert.resolved_by else "ended",
    }
    title = f"Resolved: {_title(alert)}"
    send_to(
        alert.organization_id,
        alert.told_channels,
        _notification(alert, ALERT_RESOLVED, title, _ending(alert, successor), changes),
    )
    alert.told_channels = []
    alert.save(update_fields=["told_channels"])


def _notification(
    alert: Alert, kind: str, title: str, text: str, changes: dict[str, Any] | None = None
) -> Notification:
    return Notification(
        type=kind,
        severity=alert.severity,
        title=title,
        text=text,
        facts=_facts(alert),
        path=alert.path,
        topic=f"alert:{alert.pk}",
        data={
            "alertId": alert.pk,
            "type": alert.kind,
            "status": alert.state,
            "cause": alert.cause,
            "openedAt": alert.opened_at.isoformat(),
            "currentCost": None if alert.current_nano is None else dollars(alert.current_nano),
            "explanation": alert.explanation,
            **(changes or {}),
        },
    )


def _title(alert: Alert) -> str:
    owner = alert.organization or "the installation"
    return f"{alert.title} at {owner}"


def _ending(alert: Alert, successor: str) -> str:
    if successor:
        return f"Superseded by another alert: {successor} The superseded alert: {alert.message}"
    if alert.resolved_by:
        return f"Resolved by {alert.resolved_by.partition(':')[2]}. The alert: {alert.message}"
    return f"The problem has ended. The alert: {alert.message}"


def _facts(alert: Alert) -> tuple[tuple[str, str], ...]:
    """The figures of the explanation, or what rose most, in dollars."""
    figures = tuple((each["label"], each["value"]) for each in alert.explanation.get("figures", []))
    contributors = alert.explanation.get("contributors", [])
    return figures + tuple(
        (f"{Dimension(each['dimension']).noun} {each['name']}", f"{money(each['change'])} more")
        for each in contributors[:5]
    )

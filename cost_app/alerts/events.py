"""Alerts as live events."""

from datetime import datetime
from functools import partial

from django.db import transaction

from aiinfra.api import ApiModel
from aiinfra.live_events import Draft, EventType, publish
from cost_app.models import Alert


class AlertEvent(ApiModel):
    """An alert that was opened, acknowledged, snoozed or resolved: see `status`."""

    alert_id: str
    type: str
    severity: str
    status: str
    message: str
    budget_id: str | None
    opened_at: datetime


def publish_change(alert: Alert) -> None:
    """Publish the alert's state, as the object has it, after the current transaction commits.

    Alerts of the installation are not streamed: every stream belongs to one organization.
    """
    if alert.organization_id is None:
        return
    event = AlertEvent(
        alert_id=str(alert.pk),
        type=alert.kind,
        severity=alert.severity,
        status=alert.state,
        message=alert.message,
        budget_id=None if alert.budget_id is None else str(alert.budget_id),
        opened_at=alert.opened_at,
    )
    transaction.on_commit(partial(publish, alert.organization_id, [Draft(EventType.ALERT, str(alert.pk), event)]))

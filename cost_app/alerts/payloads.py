"""Payloads and results of the alert API."""

from datetime import datetime
from typing import Any, Literal

from aiinfra.api import ApiModel
from aiinfra.money import Dollars
from aiinfra.validation import Moment


class AlertsQuery(ApiModel):
    """Unresolved alerts."""

    acknowledged: Literal["true", "false"] | None = None


class AlertReference(ApiModel):
    """A reference to an alert."""

    alert_id: str


class SnoozeAlert(ApiModel):
    """An alert, and how long to hide it; one hour by default."""

    alert_id: str
    until: Moment | None = None


class AlertOut(ApiModel):
    """One cause in one window. `currentCost` is null if the alert is not about an amount; amounts of the explanation
    are integer nano-dollars.
    """

    alert_id: str
    type: str
    severity: Literal["low", "medium", "high", "critical"]
    status: Literal["open", "acknowledged", "snoozed", "resolved"]
    message: str
    current_cost: Dollars | None
    budget_limit: Dollars | None
    threshold: int | None
    budget_id: str | None
    opened_at: datetime
    snoozed_until: datetime | None
    explanation: dict[str, Any]


class AlertList(ApiModel):
    """Newest first, at most 100."""

    alerts: list[AlertOut]

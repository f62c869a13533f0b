"""What the JSON operations of alerts take and give."""

from datetime import datetime
from typing import Any, Literal

from aiinfra.api import ApiModel
from aiinfra.money import Dollars
from cost_app.budgets.payloads import MomentIn


class AlertsQuery(ApiModel):
    """Those that are not resolved."""

    acknowledged: Literal["true", "false"] | None = None


class AlertReference(ApiModel):
    """One alert."""

    alert_id: str


class SnoozeAlert(ApiModel):
    """One alert, and until when it is not shown; an hour where nothing is said."""

    alert_id: str
    until: MomentIn | None = None


class AlertOut(ApiModel):
    """One cause in one window. `currentCost` is null where the alert is not about an amount; amounts of the explanation
    are whole nano-dollars."""

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

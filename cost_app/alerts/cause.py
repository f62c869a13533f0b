"""What an alert stands for."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cost_app.models import AlertKind, Budget, Severity


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong. `name` is unique in the organization: with it an alert is raised once, and ends."""

    name: str
    kind: AlertKind
    severity: Severity
    message: str
    current_nano: int | None = None
    """None where it is not about an amount."""
    limit_nano: int | None = None
    threshold_percent: int | None = None
    budget: Budget | None = None
    since: datetime | None = None
    """From when on the explanation looks; None where there is none to give."""
    began_at: datetime | None = None
    """When it was first seen, where that was before the alert is raised."""
    facts: dict[str, Any] = field(default_factory=dict)

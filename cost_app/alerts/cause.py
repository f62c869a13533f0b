"""The cause of an alert."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cost_app.models import AlertKind, Budget, Severity


@dataclass(frozen=True)
class Cause:
    """A problem. `name` is unique in the organization: it identifies the alert, which is raised once."""

    name: str
    kind: AlertKind
    severity: Severity
    message: str
    current_nano: int | None = None
    """None if it is not about an amount."""
    limit_nano: int | None = None
    threshold_percent: int | None = None
    budget: Budget | None = None
    since: datetime | None = None
    """Start of the explanation; None without an explanation."""
    began_at: datetime | None = None
    """When it was first seen, if that was before the alert is raised."""
    facts: dict[str, Any] = field(default_factory=dict)

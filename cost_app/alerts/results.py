"""Results of the Python API for alerts. Money is US dollars as an exact Decimal."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class BudgetAlert:
    """An unresolved alert. Money and budget fields are None if they do not apply to the cause.

    `threshold` is percent of the limit. Amounts within `explanation` are integer nano-dollars.
    """

    alert_id: str
    type: str
    severity: str
    status: str
    message: str
    current_cost: Decimal | None
    budget_limit: Decimal | None
    threshold: int | None
    budget_id: str | None
    opened_at: datetime
    snoozed_until: datetime | None
    explanation: Mapping[str, Any]

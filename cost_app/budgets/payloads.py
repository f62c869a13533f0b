"""Payloads and results of the budget API."""

import re
from datetime import datetime
from decimal import Decimal
from numbers import Real
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from aiinfra.api import WHOLE_FLOATS, ApiModel
from aiinfra.money import Dollars
from aiinfra.validation import Moment
from cost_app.budgets.manage import REASON_MAX
from cost_app.budgets.terms import VALUE_MAX

PeriodName = Literal["daily", "weekly", "monthly"]
ScopeName = Literal["organization", "api_key", "user", "model", "tag"]
EnforcementName = Literal["warn", "block", "downgrade"]

AMOUNT_END = 100_000_000
EXACT_UP_TO = 2**23
"""Dollars. Up to here, a JSON number can hold nine decimals; above, up to `AMOUNT_END`, it can hold seven."""
AMOUNT_TEXT = r"^[0-9]{1,8}(\.[0-9]{1,9})?$"


def _nano(value: object) -> int:
    """Dollars in nano-dollars. A JSON number is read from its shortest text; one that may be inexact is refused."""
    if isinstance(value, str) and not re.fullmatch(AMOUNT_TEXT[1:-1], value):
        raise ValueError("An amount has up to eight digits before the decimal point and up to nine after it.")
    if isinstance(value, bool) or not isinstance(value, str | Real | Decimal):
        raise ValueError("An amount is a number or a decimal string.")
    amount = Decimal(str(value))
    if not amount.is_finite() or not 0 <= amount < AMOUNT_END:
        raise ValueError("An amount must be at least $0 and less than $100 million.")
    nano = amount.scaleb(9)
    if nano != int(nano):
        raise ValueError("An amount can have at most nine decimals.")
    if not isinstance(value, str | int | Decimal) and amount > EXACT_UP_TO and nano % 100:
        raise ValueError("A number of this size is not exact. Send the amount as a string.")
    return int(nano)


AmountIn = Annotated[
    int,
    BeforeValidator(_nano),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": AMOUNT_TEXT},
                {"type": "number", "minimum": 0, "exclusiveMaximum": AMOUNT_END},
            ],
            "description": f"US dollars, at most nine decimals; seven in a number above {EXACT_UP_TO:,}",
        }
    ),
]


Percent = Annotated[int, Field(ge=1, le=100), WHOLE_FLOATS]


class ScopeIn(ApiModel):
    """Whose spending a budget counts; `value` is a key's ID, a user's reference, `provider/model` or a tag."""

    type: Literal["api_key", "user", "model", "tag"]
    value: Annotated[str, StringConstraints(min_length=1, max_length=VALUE_MAX)]


class SetBudget(ApiModel):
    """Create the budget of this period and scope, or change the existing one; omitted fields get their defaults."""

    period: PeriodName
    limit: AmountIn
    warning_threshold: Percent = 80
    alert_threshold: Percent = 95
    rollover_unused: bool = False
    rollover_cap: AmountIn | None = None
    enforcement: EnforcementName = "warn"
    scope: Literal["organization"] | ScopeIn = "organization"
    count_from: Annotated[
        Literal["period", "now"],
        Field(
            description="whether a new budget counts what its current period has already cost, or only later spending"
        ),
    ] = "period"


class BudgetReference(ApiModel):
    """A reference to a budget."""

    budget_id: str


class IncreaseBudget(BudgetReference):
    """Raise a budget's limit temporarily."""

    amount: AmountIn
    reason: Annotated[str, StringConstraints(min_length=1, max_length=REASON_MAX)]
    expires_at: Moment


class IncreaseReference(ApiModel):
    """A reference to a temporary increase."""

    increase_id: str


class IncreaseWithdrawn(ApiModel):
    """The increase no longer applies."""

    withdrawn: Literal[True]


class BudgetsQuery(ApiModel):
    """No parameters besides the action."""


class BudgetWindowOut(ApiModel):
    """The current period. `limit` includes carry-over and temporary increases; `free` is negative if spent and held
    exceed it; `percent` is the spent share of the limit, rounded down.
    """

    start: datetime
    end: datetime
    limit: Dollars
    spent: Dollars
    held: Dollars
    free: Dollars
    percent: int
    refusing: Annotated[bool, Field(description="whether a call like the last refused one would still be refused")]
    refused_calls: int


class BudgetIncreaseOut(ApiModel):
    """A temporary increase in effect."""

    id: str
    amount: Dollars
    reason: str
    by: str
    expires_at: datetime


class BudgetDetailOut(ApiModel):
    """A budget. `scopeValue` is empty for the organization, and the public ID for a key."""

    id: str
    period: PeriodName
    scope: ScopeName
    scope_value: str
    limit: Dollars
    warning_threshold: int
    alert_threshold: int
    rollover_unused: bool
    rollover_cap: Dollars | None
    enforcement: EnforcementName
    window: BudgetWindowOut
    increases: list[BudgetIncreaseOut]


class BudgetsOut(ApiModel):
    """The organization's budgets, widest scope first."""

    budgets: list[BudgetDetailOut]


class BudgetRemoved(ApiModel):
    """The budget no longer counts spending."""

    removed: Literal[True]

"""What the JSON operations of budgets take and give."""

import re
from datetime import datetime
from decimal import Decimal
from numbers import Real
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from aiinfra.api import WHOLE_FLOATS, ApiModel
from aiinfra.money import Dollars
from cost_app.budgets.manage import REASON_MAX
from cost_app.budgets.terms import VALUE_MAX

PeriodName = Literal["daily", "weekly", "monthly"]
ScopeName = Literal["organization", "api_key", "user", "model", "tag"]
EnforcementName = Literal["warn", "block", "downgrade"]

AMOUNT_END = 100_000_000
AMOUNT_TEXT = r"^[0-9]{1,8}(\.[0-9]{1,9})?$"


def _nano(value: object) -> int:
    """Dollars of a body in nano-dollars. A number is taken as it is written: its shortest text is what was sent."""
    if isinstance(value, str) and not re.fullmatch(AMOUNT_TEXT[1:-1], value):
        raise ValueError("an amount has up to eight digits before the point and up to nine after it")
    if isinstance(value, bool) or not isinstance(value, str | Real | Decimal):
        raise ValueError("an amount is a number or a decimal text")
    amount = Decimal(str(value))
    if not amount.is_finite() or not 0 <= amount < AMOUNT_END:
        raise ValueError("an amount is 0 or more and less than 100 million")
    nano = amount.scaleb(9)
    if nano != int(nano):
        raise ValueError("an amount has at most nine decimals")
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
            "description": "US dollars, at most nine decimals",
        }
    ),
]


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value.upper()) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError("a time is ISO 8601 with its offset from UTC: 2026-01-31T23:00:00Z")
    return moment


MomentIn = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Percent = Annotated[int, Field(ge=1, le=100), WHOLE_FLOATS]


class ScopeIn(ApiModel):
    """Whose spending a budget counts; `value` is a key's id, a user's reference, `provider/model` or a tag."""

    type: Literal["api_key", "user", "model", "tag"]
    value: Annotated[str, StringConstraints(min_length=1, max_length=VALUE_MAX)]


class SetBudget(ApiModel):
    """Make the budget of this period and scope, or change the one there is; what is left out gets its default."""

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
        Field(description="a new budget counts what its running period has already cost, or only what follows"),
    ] = "period"


class BudgetReference(ApiModel):
    """One budget."""

    budget_id: str


class IncreaseBudget(BudgetReference):
    """Raise a budget's limit for a while."""

    amount: AmountIn
    reason: Annotated[str, StringConstraints(min_length=1, max_length=REASON_MAX)]
    expires_at: MomentIn


class IncreaseReference(ApiModel):
    """One increase."""

    increase_id: str


class IncreaseWithdrawn(ApiModel):
    """The increase counts no more."""

    withdrawn: Literal[True]


class BudgetsQuery(ApiModel):
    """Nothing beside the action."""


class BudgetWindowOut(ApiModel):
    """The running period. `limit` has what was carried over and the increases in force; `free` is negative where
    spent and held are above it; `percent` of the limit is spent, rounded down."""

    start: datetime
    end: datetime
    limit: Dollars
    spent: Dollars
    held: Dollars
    free: Dollars
    percent: int
    refusing: Annotated[bool, Field(description="calls like the last one that was refused do not fit")]
    refused_calls: int


class BudgetIncreaseOut(ApiModel):
    """An increase that is in force."""

    id: str
    amount: Dollars
    reason: str
    by: str
    expires_at: datetime


class BudgetDetailOut(ApiModel):
    """A budget. `scopeValue` is empty for the organization, and the public id of a key."""

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
    """The budgets of the organization, the widest scope first."""

    budgets: list[BudgetDetailOut]


class BudgetRemoved(ApiModel):
    """The budget counts nothing any more."""

    removed: Literal[True]

"""Payloads and results of the spend API."""

from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from aiinfra.api import WHOLE_FLOATS, ApiModel
from aiinfra.money import NANO, Dollars
from aiinfra.names import Tags, UserName
from aiinfra.providers.payloads import UsageIn
from aiinfra.providers.usage.spellings import TIERS
from aiinfra.validation import Moment
from cost_app.budgets.payloads import AmountIn

PeriodName = Literal["hourly", "daily", "weekly", "monthly"]
GroupName = Literal["provider", "model", "apiKey", "user", "priority", "tag"]
PriorityName = Literal["low", "normal", "high", "critical"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
TierIn = Literal["standard", "default", "auto", "batch", "flex", "priority", "scale"]
"""A service tier; `default` and `auto` are OpenAI's names for the standard one."""
DOLLARS_MAX = 100_000
"""Per call; more is a mistake."""


def _of_one_call(nano: int) -> int:
    if nano >= DOLLARS_MAX * NANO:
        raise ValueError(f"One call must cost less than {DOLLARS_MAX} dollars.")
    return nano


CostIn = Annotated[
    AmountIn,
    AfterValidator(_of_one_call),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]{1,5}(\.[0-9]{1,9})?$"},
                {"type": "number", "minimum": 0, "exclusiveMaximum": DOLLARS_MAX},
            ],
            "description": "US dollars, at most nine decimals",
        }
    ),
]


class SummaryQuery(ApiModel):
    """No parameters besides the action."""


class MetricsQuery(ApiModel):
    """The last periods. `limit` is capped by what the organization keeps."""

    period: PeriodName = "daily"
    limit: Annotated[int, Field(ge=1, le=1000), WHOLE_FLOATS] = 30
    by: GroupName | None = None


class TokensOut(ApiModel):
    """Tokens in disjoint classes; reasoning is part of output."""

    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int


class TotalsOut(ApiModel):
    """Sums of some calls. Rates in percent, null without calls; requests are provider calls and cache hits."""

    total_cost: Dollars
    total_requests: int
    total_tokens: int
    tokens: TokensOut
    failed_requests: int
    cache_hits: int
    cache_hit_rate: float | None
    saved_cost: Dollars
    cost_per_request: Dollars | None
    error_rate: float | None
    average_latency_ms: float | None


class GroupOut(TotalsOut):
    """The sums of one provider, model, key (its public ID), user, priority (its name) or tag.

    `value` is "" for calls without one, and "*" for all further groups together.
    """

    value: str


class MetricsOut(TotalsOut):
    """One period; `isOver` is false for the current one."""

    start: datetime
    end: datetime
    is_over: bool
    groups: list[GroupOut] | None = None


class MetricsPage(ApiModel):
    """Newest first, including periods without a call."""

    period: PeriodName
    time_zone: str
    metrics: list[MetricsOut]


class ForecastOut(ApiModel):
    """The cost at the end of the month: expected, and an interval of 80%."""

    expected: Dollars
    low: Dollars
    high: Dollars
    learned_from_days: int


class BudgetOut(ApiModel):
    """A budget's current window."""

    budget_id: str
    period: str
    scope: str
    scope_value: str
    limit: Dollars
    spent: Dollars
    held: Dollars
    free: Dollars
    resets_at: datetime


class SummaryOut(TotalsOut):
    """The current month; `forecast` is null without enough history.

    `byProvider` and `byModel` list the six groups with the highest cost and the rest as "*": their costs add up to
    `totalCost`.
    """

    from_day: date
    to_day: date
    forecast: ForecastOut | None
    budgets: list[BudgetOut]
    by_provider: list[GroupOut]
    by_model: list[GroupOut]


class TrackedCallIn(ApiModel):
    """Who answered a call, and its token counts."""

    provider: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    model: Name
    usage: UsageIn


class CallFacts(ApiModel):
    """What is known about a call besides its tokens. With an `externalId`, a repeat books nothing.

    `tier` is the service tier that answered; `batch` is short for the tier of that name. `cost` is the cost that the
    provider reported.
    """

    latency: Annotated[int, Field(ge=0, le=2**31 - 1, description="ms"), WHOLE_FLOATS] | None = None
    cached: bool = False
    user_id: UserName = ""
    priority: PriorityName | None = None
    success: bool = True
    tags: Tags = []
    external_id: Name | None = None
    at: Moment | None = None
    tier: TierIn | None = None
    batch: bool = False
    cost: CostIn | None = None

    @model_validator(mode="after")
    def _one_tier(self) -> Self:
        if self.batch and self.tier not in {None, "batch"}:
            raise PydanticCustomError("tier", "batch requires the tier batch.")
        return self

    @property
    def served_tier(self) -> str:
        """The tier that answered, standard if none is given."""
        tier = "batch" if self.batch else self.tier or "standard"
        return TIERS.get(tier, tier)


class TrackRequest(CallFacts, TrackedCallIn):
    """Usage of a call made outside aiinfra."""


class Tracked(ApiModel):
    """What was booked."""

    attempt_id: str
    cost: Dollars
    is_priced: bool

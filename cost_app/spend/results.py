"""What the Python API tells of spend. Money is US dollars as an exact Decimal; rates are percent."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class TrackedRequest:
    """A call that was reported; `is_priced` is false where the price book has no price, and the cost 0."""

    attempt_id: str
    cost: Decimal
    is_priced: bool


@dataclass(frozen=True)
class TokenTotals:
    """Tokens in classes that do not overlap; reasoning is a part of output."""

    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int


@dataclass(frozen=True)
class UsageTotals:
    """Sums of some calls. Rates, averages and `cost_per_request` are None without calls."""

    total_cost: Decimal
    total_requests: int
    total_tokens: int
    tokens: TokenTotals
    failed_requests: int
    cache_hits: int
    cache_hit_rate: float | None
    saved_cost: Decimal
    cost_per_request: Decimal | None
    error_rate: float | None
    average_latency_ms: float | None


@dataclass(frozen=True)
class GroupMetrics(UsageTotals):
    """The sums of one provider, model, key (its public id), user, priority (its name) or tag.

    `value` is "" for calls without one, and "*" for all further groups together.
    """

    value: str


@dataclass(frozen=True)
class CostMetrics(UsageTotals):
    """One period of the organization's calendar; `is_over` is False for the one that still runs.

    `groups` is None where no dimension was asked for.
    """

    start: datetime
    end: datetime
    is_over: bool
    groups: tuple[GroupMetrics, ...] | None

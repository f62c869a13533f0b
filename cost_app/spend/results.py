"""Results of the Python API for spend. Money is US dollars as an exact Decimal; rates are percent."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class TrackedRequest:
    """A reported call; `is_priced` is false, and the cost 0, if the price book has no price."""

    attempt_id: str
    cost: Decimal
    is_priced: bool


@dataclass(frozen=True)
class TokenTotals:
    """Tokens in disjoint classes; reasoning is part of output."""

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
    """The sums of one provider, model, key (its public ID), user, priority (its name) or tag.

    `value` is "" for calls without one, and "*" for all further groups together.
    """

    value: str


@dataclass(frozen=True)
class CostMetrics(UsageTotals):
    """One period of the organization's calendar; `is_over` is False for the current one.

    `groups` is None if no dimension was requested.
    """

    start: datetime
    end: datetime
    is_over: bool
    groups: tuple[GroupMetrics, ...] | None

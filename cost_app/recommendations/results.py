"""What the Python API tells of recommendations and of models. Money is US dollars as an exact Decimal."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class EstimatedSavings:
    """In a month of 30 days; the percentage is of all that was spent in the sample."""

    monthly: Decimal
    percentage: int


@dataclass(frozen=True)
class Implementation:
    """What it takes. With `rule` applying it puts a rule in force; otherwise people do the steps."""

    difficulty: str
    steps: tuple[str, ...]
    rule: bool


@dataclass(frozen=True)
class Sample:
    """The calls that were looked at; `bearing` of them carry the saving."""

    calls: int
    bearing: int
    days: int
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Figure:
    """One figure; money has the unit USD and is a decimal string."""

    label: str
    value: int | str
    unit: str


@dataclass(frozen=True)
class Evidence:
    """What the saving was computed from, and how."""

    formula: str
    sample: Sample
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class RealisedSavings:
    """What the applied rule has saved; `monthly` is scaled to 30 days and None in its first three."""

    requests: int
    saved: Decimal
    monthly: Decimal | None
    percentage_of_promise: int | None
    how: str


@dataclass(frozen=True)
class OptimizationRecommendation:
    """One recommendation with its evidence; `realised` is None unless a rule of it is or was in force."""

    id: str
    type: str
    title: str
    description: str
    estimated_savings: EstimatedSavings
    implementation: Implementation
    evidence: Evidence
    confidence: str
    status: str
    computed_at: datetime
    decided_at: datetime | None
    decided_by: str
    dismissed_because: str
    realised: RealisedSavings | None


@dataclass(frozen=True)
class ProviderOption:
    """One model: cost and mean latency of one call; the error rate (percent) is None where it is not known."""

    provider: str
    model: str
    estimated_cost: Decimal
    estimated_latency_ms: int
    latency_is_measured: bool
    error_rate: float | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class ProviderRecommendation(ProviderOption):
    """The best model, why, what comes next, and which of the figures are known or assumed."""

    reasoning: str
    alternatives: tuple[ProviderOption, ...]
    known: tuple[str, ...]
    assumed: tuple[str, ...]

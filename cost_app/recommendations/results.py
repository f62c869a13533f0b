"""Results of the Python API for recommendations and model choice. Money is US dollars as an exact Decimal."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class EstimatedSavings:
    """Per 30 days; the percentage is of all spending in the sample."""

    monthly: Decimal
    percentage: int


@dataclass(frozen=True)
class Implementation:
    """How to implement it. With `rule`, applying it activates a rule; otherwise people follow the steps."""

    difficulty: str
    steps: tuple[str, ...]
    rule: bool


@dataclass(frozen=True)
class Sample:
    """The calls examined; the saving is based on `bearing` of them."""

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
    """How the saving was computed, and from what."""

    formula: str
    sample: Sample
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class RealizedSavings:
    """What the applied rule has saved; `monthly` is scaled to 30 days and None during its first three."""

    requests: int
    saved: Decimal
    monthly: Decimal | None
    percentage_of_promise: int | None
    how: str


@dataclass(frozen=True)
class OptimizationRecommendation:
    """A recommendation with its evidence; `realised` is None unless it has or had a rule."""

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
    realised: RealizedSavings | None


@dataclass(frozen=True)
class ProviderOption:
    """A model: cost and mean latency per call; the error rate (percent) is None if unknown."""

    provider: str
    model: str
    estimated_cost: Decimal
    estimated_latency_ms: int
    latency_is_measured: bool
    error_rate: float | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class ProviderRecommendation(ProviderOption):
    """The best model, the reasons, the alternatives, and which figures are known or assumed."""

    reasoning: str
    alternatives: tuple[ProviderOption, ...]
    known: tuple[str, ...]
    assumed: tuple[str, ...]

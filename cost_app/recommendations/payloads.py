"""Payloads and results of the recommendation API."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from aiinfra.api import ApiModel
from aiinfra.money import Dollars

StateName = Literal["open", "applied", "dismissed", "expired"]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=20)]


class RecommendationsQuery(ApiModel):
    """Recommendations in one state."""

    status: StateName = "open"


class RecommendationReference(ApiModel):
    """A reference to a recommendation."""

    recommendation_id: Reference


class DismissRecommendation(RecommendationReference):
    """Dismiss a recommendation."""

    reason: Annotated[str, StringConstraints(max_length=200)] = ""


class ChoiceQuery(ApiModel):
    """The kind of request to find a model for."""

    request_type: Literal["simple", "complex", "creative"]
    priority: Literal["low", "normal", "high", "critical"] = "normal"


class SavingsOut(ApiModel):
    """Per 30 days; the percentage is of all spending in the sample."""

    monthly: Dollars
    percentage: int


class ImplementationOut(ApiModel):
    """How to implement it. `rule`: applying it activates a rule; otherwise people follow the steps."""

    difficulty: Literal["easy", "medium", "hard"]
    steps: list[str]
    rule: bool


class SampleOut(ApiModel):
    """The calls examined; the saving is based on the `bearing` ones."""

    calls: int
    bearing: int
    days: int
    since: datetime = Field(alias="from")
    until: datetime = Field(alias="to")


class FigureOut(ApiModel):
    """One figure; money has the unit USD and is a decimal string."""

    label: str
    value: int | str
    unit: str


class EvidenceOut(ApiModel):
    """How the saving was computed, and from what."""

    formula: str
    sample: SampleOut
    figures: list[FigureOut]


class RealizedSavingsOut(ApiModel):
    """What the rule has saved, scaled to 30 days; null during its first three days."""

    requests: int
    saved: Dollars
    monthly: Dollars | None
    percentage_of_promise: int | None
    how: str


class RecommendationOut(ApiModel):
    """A recommendation."""

    id: str
    type: str
    title: str
    description: str
    estimated_savings: SavingsOut
    implementation: ImplementationOut
    evidence: EvidenceOut
    confidence: Literal["low", "medium", "high"]
    status: StateName
    computed_at: datetime
    decided_at: datetime | None
    decided_by: str
    dismissed_because: str
    realised: RealizedSavingsOut | None


class RecommendationsOut(ApiModel):
    """Largest savings first; at most 100. Savings overlap and cannot be added up."""

    recommendations: list[RecommendationOut]


class OptionOut(ApiModel):
    """A model; cost and latency are per call, the error rate (percent) is null if unknown."""

    provider: str
    model: str
    estimated_cost: Dollars
    estimated_latency_ms: int
    latency_is_measured: bool
    error_rate: float | None
    problems: list[str]


class ChoiceOut(OptionOut):
    """The best model, the reasons, the alternatives, and which figures are known or assumed."""

    reasoning: str
    alternatives: list[OptionOut]
    known: list[str]
    assumed: list[str]

"""What the JSON operations of recommendations take and give."""

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
    """One recommendation."""

    recommendation_id: Reference


class DismissRecommendation(RecommendationReference):
    """Say no to one."""

    reason: Annotated[str, StringConstraints(max_length=200)] = ""


class ChoiceQuery(ApiModel):
    """For what kind of request a model is sought."""

    request_type: Literal["simple", "complex", "creative"]
    priority: Literal["low", "normal", "high", "critical"] = "normal"


class SavingsOut(ApiModel):
    """In a month of 30 days; the percentage is of all that was spent in the sample."""

    monthly: Dollars
    percentage: int


class ImplementationOut(ApiModel):
    """What it takes. `rule`: applying puts a rule in force; else people do the steps."""

    difficulty: Literal["easy", "medium", "hard"]
    steps: list[str]
    rule: bool


class SampleOut(ApiModel):
    """What was looked at; `bearing` are the calls that the saving was counted on."""

    calls: int
    bearing: int
    days: int
    since: datetime = Field(alias="from")
    until: datetime = Field(alias="to")


class FigureOut(ApiModel):
    """One figure; money has the unit USD and is a decimal text."""

    label: str
    value: int | str
    unit: str


class EvidenceOut(ApiModel):
    """What the saving was computed from, and how."""

    formula: str
    sample: SampleOut
    figures: list[FigureOut]


class RealisedOut(ApiModel):
    """What the rule has saved, scaled to 30 days; null before three days."""

    requests: int
    saved: Dollars
    monthly: Dollars | None
    percentage_of_promise: int | None
    how: str


class RecommendationOut(ApiModel):
    """One piece of advice."""

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
    realised: RealisedOut | None


class RecommendationsOut(ApiModel):
    """What saves most comes first; at most 100. Savings of several overlap and cannot be added up."""

    recommendations: list[RecommendationOut]


class OptionOut(ApiModel):
    """One model; cost and latency are those of one call, the error rate (percent) is null where it is not known."""

    provider: str
    model: str
    estimated_cost: Dollars
    estimated_latency_ms: int
    latency_is_measured: bool
    error_rate: float | None
    problems: list[str]


class ChoiceOut(OptionOut):
    """The best model, why, what comes next, and what of this is known and what assumed."""

    reasoning: str
    alternatives: list[OptionOut]
    known: list[str]
    assumed: list[str]

"""The traffic that recommendations are computed from, and the conditions for recommending anything.

The sample is the last 30 days of the organization's own calls. Money is integer nano-dollars; savings in the observed
days are scaled to a month of 30 by `saving x 30 / days`, rounded down.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet, Sum

from cost_app.models import Attempt, AttemptState, RecommendationKind

SAMPLE_DAYS = 30
DAYS_MIN = 7
CALLS_MIN = 100
MONTHLY_NANO_MIN = 1_000_000_000
PERCENT_MIN = 1
CONFIDENCE = [("high", 1_000, 21), ("medium", 300, 14)]
"""(confidence, number of calls, observed days): the first row whose minimums are both met; otherwise low."""

Figure = dict[str, Any]
"""{"label", "value", "unit"}; the unit "nano" is money."""


@dataclass(frozen=True)
class Advice:
    """A recommendation before it is stored; the fields are those of `Recommendation`."""

    kind: RecommendationKind
    subject: str
    title: str
    description: str
    monthly_nano: int
    percent: int
    confidence: str
    difficulty: str
    steps: list[str]
    evidence: dict[str, Any]
    rule_terms: dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """The result of a generator. `examined`: calls examined; `bearing`: those that the saving is based on.

    `examined` is None if the finding is based on facts instead of calls. `saving_nano` is for the observed days; None
    if there is no direct saving.
    """

    kind: RecommendationKind
    subject: str
    title: str
    description: str
    saving_nano: int | None
    examined: int | None
    bearing: int
    difficulty: str
    formula: str
    steps: list[str]
    figures: list[Figure]
    rule_terms: dict[str, Any] | None = None


@dataclass(frozen=True)
class Sample:
    """The organization's calls of the last 30 days. `days` counts since the first call, including partial ones."""

    organization_id: int
    since: datetime
    now: datetime
    days: int
    spend_nano: int

    @property
    def calls(self) -> QuerySet[Attempt]:
        """The answered and billed calls that went through the queue, without usage reported from outside."""
        return self.attempts.filter(state=AttemptState.SETTLED)

    @property
    def attempts(self) -> QuerySet[Attempt]:
        """Every attempt of a queued request, however it ended."""
        return _of(self.organization_id, self.since, self.now).filter(request_id__isnull=False)

    def advice_of(self, finding: Finding) -> Advice | None:
        """The finding with its monthly saving and confidence; None if the sample or the saving is too small.

        Too small: fewer than 100 calls or 7 days, less than $1 per month or 1% of what the organization spent. For a
        finding without a direct saving, only the sample counts.
        """
        if finding.examined is not None and (self.days < DAYS_MIN or finding.examined < CALLS_MIN):
            return None
        saving = finding.saving_nano or 0
        monthly = saving * SAMPLE_DAYS // max(self.days, 1)
        if finding.saving_nano is not None and not self._is_significant(saving, monthly):
            return None
        return self._new_advice(finding, monthly)

    def _is_significant(self, saving: int, monthly: int) -> bool:
        return monthly >= MONTHLY_NANO_MIN and saving * 100 >= self.spend_nano * PERCENT_MIN

    def _new_advice(self, finding: Finding, monthly: int) -> Advice:
        return Advice(
            kind=finding.kind,
            subject=finding.subject,
            title=finding.title,
            description=finding.description,
            monthly_nano=monthly,
            percent=_percent(finding.saving_nano or 0, self.spend_nano),
            confidence="high" if finding.examined is None else confidence_of(finding.bearing, self.days),
            difficulty=finding.difficulty,
            steps=finding.steps,
            evidence=self._evidence(finding),
            rule_terms=finding.rule_terms or {},
        )

    def _evidence(self, finding: Finding) -> dict[str, Any]:
        return {
            "formula": finding.formula,
            "sample": {
                "calls": finding.examined or 0,
                "bearing": finding.bearing,
                "days": self.days,
                "from": self.since.isoformat(),
                "to": self.now.isoformat(),
            },
            "figures": finding.figures,
        }


def take_sample(organization_id: int, now: datetime) -> Sample:
    """The sample up to a moment; one query."""
    since = now - timedelta(days=SAMPLE_DAYS)
    found = _of(organization_id, since, now).aggregate(first=Min("created_at"), spend=Sum("cost_nano"), n=Count("id"))
    days = -((found["first"] - now) // timedelta(days=1)) if found["n"] else 0
    return Sample(organization_id, since, now, min(days, SAMPLE_DAYS), found["spend"] or 0)


def _of(organization_id: int, since: datetime, now: datetime) -> QuerySet[Attempt]:
    return Attempt.objects.filter(organization_id=organization_id, created_at__gte=since, created_at__lt=now)


def confidence_of(bearing: int, days: int) -> str:
    """high: 1,000 calls in 21 days; medium: 300 calls in 14 days; otherwise low."""
    for word, calls, span in CONFIDENCE:
        if bearing >= calls and days >= span:
            return word
    return "low"


def _percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0


def figure(label: str, value: int | str, unit: str) -> Figure:
    """One line of the evidence. Units: nano (money), calls, tokens, percent, text and so on."""
    return {"label": label, "value": value, "unit": unit}

"""What applied recommendations actually saved, compared with their estimates.

Computed from the requests that a rule changed (`RuleUse`), never from totals: a month with less traffic is not a
saving. The job runs every hour and stores the result with the rule, so that pages need not compute it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, QuerySet, Sum
from django.utils import timezone

from cost_app.models import Attempt, AttemptState, ModelPrice, OptimizationRule, RecommendationKind, RuleUse
from cost_app.recommendations.pricing import repriced

TOO_EARLY = timedelta(days=3)
MONTH = timedelta(days=30)
SECOND = timedelta(seconds=1)

HOW = {
    RecommendationKind.CHEAPER_MODEL.value: (
        "For each request that the rule sent to the other model: what its tokens would have cost at the first model's "
        "price at that time, minus what it cost. Savings from waiting for cheaper hours count for that rule."
    ),
    RecommendationKind.OFF_PEAK.value: (
        "For each request that waited: what its tokens would have cost at the price when it arrived, minus what it "
        "cost."
    ),
    RecommendationKind.RETRY_WASTE.value: (
        "Estimate: the requests that failed at the limit, times the average cost of further attempts in the sample."
    ),
    RecommendationKind.TRIM_MAX_TOKENS.value: "This rule saves no money; it frees budgets while calls run.",
}


@dataclass(frozen=True)
class RuleSavings:
    """Promised and realized savings of one rule, in nano-dollars per 30 days."""

    rule: OptimizationRule
    promised_nano: int

    @property
    def requests(self) -> int:
        """How many requests it changed."""
        return self.rule.changed_requests

    @property
    def too_early(self) -> bool:
        """Whether it is too early to say: less than three days."""
        return self._span < TOO_EARLY

    @property
    def monthly_nano(self) -> int | None:
        """What it saved, scaled to 30 days."""
        if self.too_early:
            return None
        return self.rule.saved_nano * (MONTH // SECOND) // (self._span // SECOND)

    @property
    def percent(self) -> int | None:
        """Percent of the promised savings."""
        if self.monthly_nano is None or not self.promised_nano:
            return None
        return round(100 * self.monthly_nano / self.promised_nano)

    @property
    def how(self) -> str:
        """How it was computed, in words."""
        return HOW.get(self.rule.kind, "")

    @property
    def _span(self) -> timedelta:
        counted_at = self.rule.counted_at or self.rule.starts_at
        return min(counted_at, self.rule.ended_at or counted_at) - self.rule.starts_at


def count_rule_savings(organization_id: int, now: datetime | None = None) -> None:
    """Recompute what each rule saved, for rules in effect or ended within the last day; for the background."""
    now = now or timezone.now()
    rules = OptimizationRule.objects.filter(organization_id=organization_id)
    for rule in rules.filter(ended_at=None) | rules.filter(ended_at__gt=now - timedelta(days=1)):
        requests, saved = _counted(rule)
        rules.filter(id=rule.id).update(changed_requests=requests, saved_nano=saved, counted_at=now)


def _counted(rule: OptimizationRule) -> tuple[int, int]:
    """Requests changed, and nano-dollars saved."""
    uses = RuleUse.objects.filter(rule=rule)
    match rule.kind:
        case RecommendationKind.CHEAPER_MODEL:
            saved = _saved(uses) - _saved(_also_waited(uses))
        case RecommendationKind.OFF_PEAK:
            saved = _saved(uses)
        case RecommendationKind.RETRY_WASTE:
            saved = _stopped(rule, uses) * int(rule.terms["savedPerRequest"])
        case _:
            saved = 0
    return uses.count(), saved


def _saved(uses: QuerySet[RuleUse]) -> int:
    """Over the billed attempts of these requests: their tokens at the replaced price, minus their cost.

    One query for each price version that was replaced.
    """
    versions = uses.filter(instead_of__isnull=False).order_by().values_list("instead_of", flat=True).distinct()
    total = 0
    for price in ModelPrice.objects.filter(id__in=list(versions)):
        requests = uses.filter(instead_of=price).values("request_id")
        attempts = Attempt.objects.filter(request_id__in=requests, state=AttemptState.SETTLED)
        total += attempts.aggregate(saved=Sum(repriced(price) - F("cost_nano"), default=0))["saved"]
    return total


def _also_waited(uses: QuerySet[RuleUse]) -> QuerySet[RuleUse]:
    """The uses of rules that made the same requests wait."""
    same_request = uses.filter(request_id=OuterRef("request_id"))
    return RuleUse.objects.filter(Exists(same_request), rule__kind=RecommendationKind.OFF_PEAK)


def _stopped(rule: OptimizationRule, uses: QuerySet[RuleUse]) -> int:
    """Requests that failed at the last attempt that the rule allowed."""
    last = Attempt.objects.filter(request_id__in=uses.values("request_id"), number=rule.terms["maxRetries"] + 1)
    return last.exclude(error_code="").count()

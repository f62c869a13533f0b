"""Recommendations as pages and programs show them."""

from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet

from cost_app.models import OptimizationRule, Recommendation, RecommendationKind, RecommendationState
from cost_app.recommendations.realised import Realised

MOST_SHOWN = 100
TONES = {RecommendationState.OPEN: "info", RecommendationState.APPLIED: "good"}
CONFIDENCE_TONES = {"high": "good", "medium": "info"}
KIND_WORDS = {
    RecommendationKind.CHEAPER_MODEL: "cheaper model",
    RecommendationKind.CACHE_REPEATS: "missed repeats",
    RecommendationKind.CACHE_TUNING: "cache settings",
    RecommendationKind.PROMPT_CACHING: "prompt caching",
    RecommendationKind.OFF_PEAK: "off-peak hours",
    RecommendationKind.BATCH: "batches",
    RecommendationKind.TRIM_MAX_TOKENS: "limit of answers",
    RecommendationKind.RETRY_WASTE: "retries",
    RecommendationKind.IDLE_BUDGET: "idle budget",
}


@dataclass(frozen=True)
class RecommendationRow:
    """One recommendation, with its latest rule if it ever had one."""

    recommendation: Recommendation
    rule: OptimizationRule | None

    @property
    def kind(self) -> str:
        """Its kind in words."""
        return KIND_WORDS[RecommendationKind(self.recommendation.kind)]

    @property
    def tone(self) -> str:
        """The colour of its state."""
        return TONES.get(RecommendationState(self.recommendation.state), "")

    @property
    def confidence_tone(self) -> str:
        """The colour of its confidence."""
        return CONFIDENCE_TONES.get(self.recommendation.confidence, "warn")

    @property
    def realised(self) -> Realised | None:
        """What its rule saved; None where no rule was ever in force."""
        return Realised(self.rule, self.recommendation.monthly_nano) if self.rule else None

    @property
    def consequence(self) -> str:
        """What applying it does, in words."""
        return consequence_of(self.recommendation)

    @property
    def is_open(self) -> bool:
        """Whether it can be applied or dismissed."""
        return self.recommendation.state == RecommendationState.OPEN

    @property
    def can_be_undone(self) -> bool:
        """Whether it was applied or dismissed."""
        return self.recommendation.state in {RecommendationState.APPLIED, RecommendationState.DISMISSED}


def consequence_of(recommendation: Recommendation) -> str:
    """What applying it does from then on."""
    terms = recommendation.rule_terms
    match recommendation.kind if terms else "":
        case RecommendationKind.CHEAPER_MODEL:
            return (
                f"From now on every simple request to {terms['model']} is sent to {terms['to']}. Requests that a "
                "client calls complex or creative stay where they are."
            )
        case RecommendationKind.OFF_PEAK:
            return (
                f"From now on requests of low priority to {terms['model']} wait for its cheaper hours, at most a day. "
                "All others leave at once."
            )
        case RecommendationKind.TRIM_MAX_TOKENS:
            return (
                f"From now on an answer of {terms['model']} is cut off after {terms['maxTokens']:,} tokens, also "
                "where a client allows more."
            )
        case RecommendationKind.RETRY_WASTE:
            return (
                f"From now on no request is retried more than {terms['maxRetries']} times, also where a client allows "
                "more; requests may fail that a later retry would have saved."
            )
        case _:
            return "Nothing changes by itself: it is marked as applied, and the steps are yours to take."


def recommendation_rows(state: RecommendationState) -> list[RecommendationRow]:
    """The scoped organization's in one state, what saves most first, at most 100; two queries."""
    found = _with_rules().filter(state=state).order_by("-monthly_nano", "-id")[:MOST_SHOWN]
    return [_row(each) for each in found]


def recommendation_row(recommendation_id: int) -> RecommendationRow:
    """One of them, read anew. Raises Recommendation.DoesNotExist."""
    return _row(_with_rules().get(id=recommendation_id))


def _with_rules() -> QuerySet[Recommendation]:
    return Recommendation.objects.prefetch_related(
        Prefetch("rules", queryset=OptimizationRule.objects.order_by("-starts_at"))
    )


def _row(recommendation: Recommendation) -> RecommendationRow:
    return RecommendationRow(recommendation, next(iter(recommendation.rules.all()), None))

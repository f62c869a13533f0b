"""Recommendations for pages and programs."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Prefetch, QuerySet
from django.urls import reverse

from cost_app.models import OptimizationRule, Recommendation, RecommendationKind, RecommendationState
from cost_app.recommendations.lifecycle import makes_rule
from cost_app.recommendations.realised import RuleSavings

SHOWN_MAX = 100
TONES = {RecommendationState.OPEN: "info", RecommendationState.APPLIED: "good"}
CONFIDENCE_TONES = {"high": "good", "medium": "info"}
KIND_WORDS = {
    RecommendationKind.CHEAPER_MODEL: "cheaper model",
    RecommendationKind.CACHE_REPEATS: "missed repeats",
    RecommendationKind.CACHE_TUNING: "cache settings",
    RecommendationKind.PROMPT_CACHING: "prompt caching",
    RecommendationKind.OFF_PEAK: "off-peak hours",
    RecommendationKind.BATCH: "batches",
    RecommendationKind.TRIM_MAX_TOKENS: "answer limit",
    RecommendationKind.RETRY_WASTE: "retries",
    RecommendationKind.IDLE_BUDGET: "idle budget",
}


@dataclass(frozen=True)
class Place:
    """A page, and what its button says."""

    title: str
    url: str


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
        """The color of its state."""
        return TONES.get(RecommendationState(self.recommendation.state), "")

    @property
    def confidence_tone(self) -> str:
        """The color of its confidence."""
        return CONFIDENCE_TONES.get(self.recommendation.confidence, "warn")

    @property
    def realised(self) -> RuleSavings | None:
        """What its rule saved; None if it never had a rule."""
        return RuleSavings(self.rule, self.recommendation.monthly_nano) if self.rule else None

    @property
    def consequence(self) -> str:
        """The effect of applying it, in words."""
        return consequence_of(self.recommendation)

    @property
    def changes_calls(self) -> bool:
        """Whether applying it changes calls. Otherwise people act, and then mark it as done."""
        return makes_rule(self.recommendation)

    @property
    def place(self) -> Place | None:
        """The page where people act on it, or see the calls whose code they change; None if a rule does it."""
        return None if self.changes_calls else place_of(self.recommendation)

    @property
    def state(self) -> str:
        """Its state in words: what people did themselves is done, not applied."""
        is_done = self.recommendation.state == RecommendationState.APPLIED and not self.rule
        return "done" if is_done else self.recommendation.state

    @property
    def is_open(self) -> bool:
        """Whether it can be applied or dismissed."""
        return self.recommendation.state == RecommendationState.OPEN

    @property
    def can_be_undone(self) -> bool:
        """Whether it was applied or dismissed."""
        return self.recommendation.state in {RecommendationState.APPLIED, RecommendationState.DISMISSED}


def place_of(recommendation: Recommendation) -> Place | None:
    """Where people act on what no rule can do."""
    match recommendation.kind:
        case RecommendationKind.CACHE_REPEATS | RecommendationKind.CACHE_TUNING:
            return Place("Cache settings", reverse("cache_settings"))
        case RecommendationKind.IDLE_BUDGET:
            return Place("View budget", reverse("budget", args=[recommendation.subject]))
        case RecommendationKind.PROMPT_CACHING | RecommendationKind.BATCH:
            provider, _, model = recommendation.subject.partition("/")
            query = urlencode({"provider": provider, "model": model})
            return Place("View requests", f"{reverse('queue_requests')}?{query}")
        case _:
            return None


def consequence_of(recommendation: Recommendation) -> str:
    """The effect of applying it."""
    terms = recommendation.rule_terms
    match recommendation.kind if terms else "":
        case RecommendationKind.CHEAPER_MODEL:
            return (
                f"Sends every simple request to {terms['model']} to {terms['to']}. Requests that a client marks as "
                "complex or creative are not affected."
            )
        case RecommendationKind.OFF_PEAK:
            return (
                f"Delays low-priority requests to {terms['model']} until its cheaper hours, at most a day. Other "
                "requests are not affected."
            )
        case RecommendationKind.TRIM_MAX_TOKENS:
            return f"Limits answers of {terms['model']} to {terms['maxTokens']:,} tokens, even if a client allows more."
        case RecommendationKind.RETRY_WASTE:
            return (
                f"Limits retries to {terms['maxRetries']} per request, even if a client allows more. Requests may "
                "fail that a later retry would have saved."
            )
        case _:
            return "Marks the recommendation as done. Nothing changes automatically: you take the steps."


def recommendation_rows(state: RecommendationState) -> list[RecommendationRow]:
    """The scoped organization's recommendations in one state, largest savings first, at most 100; two queries."""
    found = _with_rules().filter(state=state).order_by("-monthly_nano", "-id")[:SHOWN_MAX]
    return [_row(each) for each in found]


def recommendation_row(recommendation_id: int) -> RecommendationRow:
    """One recommendation, read again. Raises Recommendation.DoesNotExist."""
    return _row(_with_rules().get(id=recommendation_id))


def _with_rules() -> QuerySet[Recommendation]:
    return Recommendation.objects.prefetch_related(
        Prefetch("rules", queryset=OptimizationRule.objects.order_by("-starts_at"))
    )


def _row(recommendation: Recommendation) -> RecommendationRow:
    return RecommendationRow(recommendation, next(iter(recommendation.rules.all()), None))

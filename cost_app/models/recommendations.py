"""Recommendations, and the rules of applied ones."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from aiinfra.tenants.models import TenantModel
from cost_app.models.prices import ModelPrice


class RecommendationKind(models.TextChoices):
    """The kind of a recommendation."""

    CHEAPER_MODEL = "cheaper_model"
    CACHE_REPEATS = "cache_repeats"
    CACHE_TUNING = "cache_tuning"
    PROMPT_CACHING = "prompt_caching"
    OFF_PEAK = "off_peak"
    BATCH = "batch"
    TRIM_MAX_TOKENS = "trim_max_tokens"
    RETRY_WASTE = "retry_waste"
    IDLE_BUDGET = "idle_budget"


class RecommendationState(models.TextChoices):
    """The state of a recommendation."""

    OPEN = "open"
    APPLIED = "applied"
    DISMISSED = "dismissed"
    EXPIRED = "expired"


class Recommendation(TenantModel):
    """One recommendation with its evidence. `subject` distinguishes recommendations of one kind."""

    kind = models.CharField(max_length=32, choices=RecommendationKind.choices)
    subject = models.CharField(max_length=300)
    state = models.CharField(max_length=16, choices=RecommendationState.choices, default=RecommendationState.OPEN)
    title = models.CharField(max_length=200)
    description = models.TextField()
    monthly_nano = models.BigIntegerField(help_text="savings per 30 days in nano-dollars")
    percent = models.PositiveSmallIntegerField(help_text="of the organization's spend in the sample")
    confidence = models.CharField(max_length=8, choices=[("low", "low"), ("medium", "medium"), ("high", "high")])
    difficulty = models.CharField(max_length=8, choices=[("easy", "easy"), ("medium", "medium"), ("hard", "hard")])
    steps = models.JSONField(default=list)
    evidence = models.JSONField(default=dict, help_text="formula, sample and the figures that went in")
    rule_terms = models.JSONField(default=dict, help_text="the rule that applying creates; empty if people must act")
    computed_at = models.DateTimeField(default=timezone.now)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True)
    dismissed_because = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "kind", "subject"],
                condition=Q(state__in=["open", "applied"]),
                name="one_live_recommendation",
            )
        ]

    def __str__(self) -> str:
        return self.title


class OptimizationRule(TenantModel):
    """How an applied recommendation changes calls, until `ended_at`."""

    recommendation = models.ForeignKey(Recommendation, on_delete=models.PROTECT, related_name="rules")
    kind = models.CharField(max_length=32, choices=RecommendationKind.choices)
    terms = models.JSONField()
    starts_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    by = models.CharField(max_length=200)
    ended_by = models.CharField(max_length=200, blank=True)
    changed_requests = models.BigIntegerField(default=0, help_text="requests that it changed, up to `counted_at`")
    saved_nano = models.BigIntegerField(default=0, help_text="what it saved on them, nano-dollars")
    counted_at = models.DateTimeField(null=True, help_text="set by `cost_app.recommendations.realised`")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["recommendation"], condition=Q(ended_at=None), name="one_rule_in_force_per_recommendation"
            )
        ]
        indexes = [models.Index(fields=["organization"], name="rule_in_force", condition=Q(ended_at=None))]

    def __str__(self) -> str:
        return f"{self.kind} from {self.starts_at:%Y-%m-%d}"


class RuleUse(TenantModel):
    """A request that a rule changed, so that what the rule saved can be counted call by call."""

    rule = models.ForeignKey(OptimizationRule, on_delete=models.PROTECT, related_name="uses")
    request_id = models.UUIDField(help_text="every attempt of this request followed the rule")
    instead_of = models.ForeignKey(
        ModelPrice, null=True, on_delete=models.PROTECT, related_name="+", help_text="the price without the rule"
    )
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "request_id"], name="one_use_per_rule_and_request")]
        indexes = [models.Index(fields=["organization", "request_id"], name="rule_use_by_request")]

    def __str__(self) -> str:
        return f"rule {self.rule_id} on {self.request_id}"

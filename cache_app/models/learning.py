"""What the cache learns from: judged pairs, and the thresholds derived from them."""

from django.db import models
from django.utils import timezone

from aiinfra.partial_indexes import one_of
from aiinfra.tenants.models import TenantModel
from cache_app.models.hits import JudgedBy

PEOPLE = (JudgedBy.REPORT.value, JudgedBy.REVIEW.value)
BY_PEOPLE = one_of("judged_by", PEOPLE)
"""The pair was judged by a person, not by comparing answers."""


class JudgedPair(TenantModel):
    """Whether the answer to one question may be served to another. A wrong pair stays blocked however often the entry
    is evicted and stored again.
    """

    at = models.DateTimeField(default=timezone.now)
    embedder = models.CharField(max_length=64)
    partition = models.CharField(max_length=32)
    entry_id = models.CharField(max_length=32)
    question_id = models.CharField(max_length=32, help_text="the entry id that the asked text would have")
    similarity = models.FloatField()
    is_right = models.BooleanField()
    judged_by = models.CharField(max_length=16, choices=JudgedBy.choices)
    weight = models.FloatField(default=1.0, help_text="hits that this one represents: 1 / sampling share")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "entry_id", "question_id"], name="pair_judged_once")
        ]
        indexes = [
            models.Index(fields=["organization", "embedder", "-at"], name="judged_pair_by_time"),
            models.Index(fields=["at"], name="judged_pair_by_people", condition=BY_PEOPLE),
        ]

    def __str__(self) -> str:
        return f"{self.question_id} {'may' if self.is_right else 'may not'} use {self.entry_id}"


class ProposalState(models.TextChoices):
    """The status of a proposed threshold."""

    OPEN = "open"
    APPLIED = "applied"
    DISMISSED = "dismissed"
    REPLACED = "replaced"


class ThresholdProposal(TenantModel):
    """A threshold that keeps the organization's error target, based on its own judged pairs; a person applies it."""

    at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=16, choices=ProposalState.choices, default=ProposalState.OPEN)
    embedder = models.CharField(max_length=64)
    threshold = models.FloatField()
    before = models.FloatField(help_text="the threshold when it was proposed")
    error_target = models.FloatField()
    pairs = models.PositiveIntegerField(help_text="judged pairs at or above the proposed threshold")
    wrong = models.PositiveIntegerField(help_text="wrong ones among them")
    error_upper = models.FloatField(help_text="upper bound of the share of wrong answers at 90% confidence")
    hits_kept = models.FloatField(help_text="share of the current hits that it would still serve; above 1 for more")
    decided_by = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization"], condition=models.Q(state="open"), name="one_open_threshold_proposal"
            )
        ]

    def __str__(self) -> str:
        return f"threshold {self.threshold:.2f} ({self.state})"

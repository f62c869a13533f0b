"""Every answer that the cache served, or would have served in shadow mode."""

from django.db import models
from django.utils import timezone

from aiinfra.tenants.models import ApiKey, TenantModel


class Layer(models.TextChoices):
    """How the entry was found: an exact match, a semantic match, or the answer of an identical call in progress."""

    EXACT = "exact"
    SEMANTIC = "semantic"
    FLIGHT = "flight"


class Judgement(models.TextChoices):
    """The judgment of a hit, by a person or a fresh answer."""

    RIGHT = "right"
    WRONG = "wrong"
    DOUBTFUL = "doubtful", "doubtful: the fresh answer differs"


class JudgedBy(models.TextChoices):
    """Where a judgment comes from."""

    REPORT = "report", "a report"
    REVIEW = "review", "a reviewer"
    REASK = "reask", "a re-check"
    SHADOW = "shadow", "shadow mode"


UNCOUNTED = models.Q(counted=False)
UNCOMPARED = models.Q(models.Q(shadow=True) | models.Q(reasked_at__isnull=False), compared_at=None)
"""The provider was asked too, and its answer has not been compared yet."""


class CacheHit(TenantModel):
    """One hit. `id` is the ID of the request that it answered; a shadow hit was answered by the provider after all.

    The texts are stored with the hit, because the entry may be gone when someone reviews the pair; they are deleted
    with the content of requests.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField(default=timezone.now)
    shadow = models.BooleanField(default=False, help_text="the cache would have served it; the provider did")
    layer = models.CharField(max_length=16, choices=Layer.choices)
    entry_id = models.CharField(max_length=32)
    partition = models.CharField(max_length=32)
    embedder = models.CharField(max_length=64)
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=128)
    similarity = models.FloatField(help_text="cosine; 1 for an exact match")
    rule = models.CharField(max_length=16, help_text="rule that allowed it: exact, flight, clear, strict or head")
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.PROTECT, related_name="+")
    user_ref = models.CharField(max_length=128, blank=True)
    question = models.TextField(blank=True, help_text="the question")
    cached_question = models.TextField(blank=True, help_text="the question that the answer was given to")
    answer = models.TextField(blank=True, help_text="what was served, or would have been")
    fresh_answer = models.TextField(blank=True, help_text="the provider's answer, if it was asked too")
    agreement = models.FloatField(null=True, help_text="cosine of the two answers")
    saved_nano = models.BigIntegerField(default=0, help_text="as in the ledger; nano-dollars")
    saved_ms = models.PositiveIntegerField(default=0, help_text="how long the provider took for the entry's answer")
    entry_age_s = models.PositiveIntegerField(default=0)
    lookup_ms = models.FloatField(default=0.0)
    judgement = models.CharField(max_length=16, choices=Judgement.choices, blank=True)
    judged_by = models.CharField(max_length=16, choices=JudgedBy.choices, blank=True)
    judged_at = models.DateTimeField(null=True)
    reask = models.BooleanField(default=False, help_text="sampled for a re-check")
    reasked_at = models.DateTimeField(null=True)
    compared_at = models.DateTimeField(null=True, help_text="the two answers were compared, or there is no second one")
    counted = models.BooleanField(default=False, help_text="included in the counts")

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-at"], name="cache_hit_by_time"),
            models.Index(fields=["at"], name="cache_hit_by_age"),
            models.Index(fields=["organization", "entry_id"], name="cache_hit_by_entry"),
            models.Index(fields=["organization", "judgement", "-at"], name="cache_hit_judged"),
            models.Index(fields=["at"], name="cache_hit_uncounted", condition=UNCOUNTED),
            models.Index(fields=["at"], name="cache_hit_reask", condition=models.Q(reask=True, reasked_at=None)),
            models.Index(fields=["at"], name="cache_hit_uncompared", condition=UNCOMPARED),
        ]

    def __str__(self) -> str:
        return f"{self.layer} hit on {self.entry_id}"

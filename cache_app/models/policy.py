"""An organization's own cache settings."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from aiinfra.tenants.models import TenantModel

ENTRIES_MAX = 100_000
TTL_HOURS = 24


class CacheMode(models.TextChoices):
    """What the cache may answer with."""

    SEMANTIC = "semantic", "exact and semantic matches"
    EXACT = "exact", "exact matches only"
    SHADOW = "shadow", "nothing: ask the provider every time, and compare with the cached answer"
    OFF = "off", "nothing, and store nothing"


class SharedWith(models.TextChoices):
    """Whose questions one entry may answer."""

    ORGANIZATION = "organization", "everyone in the organization"
    API_KEY = "api_key", "callers with the same API key"
    USER = "user", "the same user"


class OtherLanguages(models.TextChoices):
    """How questions are answered in languages that the guards do not support."""

    EXACT = "exact", "exact matches only"
    SIMILAR = "similar", "exact and semantic matches"


class CachePolicy(TenantModel):
    """At most one row per organization; without one the defaults apply. Read it with `policy_of`."""

    mode = models.CharField(max_length=16, choices=CacheMode.choices, default=CacheMode.SEMANTIC)
    threshold = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.5), MaxValueValidator(1.0)],
        verbose_name="similarity threshold",
        help_text="cosine; leave empty for the embedder's default",
    )
    shared_with = models.CharField(max_length=16, choices=SharedWith.choices, default=SharedWith.ORGANIZATION)
    ttl_hours = models.PositiveIntegerField(
        default=TTL_HOURS,
        validators=[MinValueValidator(1), MaxValueValidator(24 * 90)],
        verbose_name="time to live (hours)",
    )
    max_entries = models.PositiveIntegerField(
        default=ENTRIES_MAX, validators=[MinValueValidator(1), MaxValueValidator(1_000_000)]
    )
    max_temperature = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(2.0)],
        verbose_name="maximum temperature",
        help_text="calls above it get exact matches only",
    )
    other_languages = models.CharField(
        max_length=16,
        choices=OtherLanguages.choices,
        default=OtherLanguages.EXACT,
        help_text="unsupported languages",
    )
    error_target = models.FloatField(
        default=0.02,
        validators=[MinValueValidator(0.001), MaxValueValidator(0.2)],
        help_text="maximum share of wrong answers among semantic hits that a proposed threshold may have",
    )
    reask_share = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(0.2)],
        help_text="share of hits re-checked in the background to measure errors; 0 for none",
    )
    reask_day_nano = models.BigIntegerField(
        default=0, validators=[MinValueValidator(0)], help_text="daily re-check budget; nano-dollars"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization"], name="one_cache_policy")]
        verbose_name_plural = "cache policies"

    def __str__(self) -> str:
        return f"cache policy of {self.organization_id}"

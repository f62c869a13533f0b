"""An organization's own rules for its cache."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from aiinfra.tenants.models import TenantModel

ENTRIES_MAX = 100_000
TTL_HOURS = 24


class CacheMode(models.TextChoices):
    """What the cache may answer with."""

    SEMANTIC = "semantic", "equal and similar questions"
    EXACT = "exact", "equal questions only"
    SHADOW = "shadow", "nothing: ask the provider each time, and compare with what the cache would have served"
    OFF = "off", "nothing, and keep nothing"


class SharedWith(models.TextChoices):
    """Whose questions one entry may answer."""

    ORGANIZATION = "organization", "everybody in the organization"
    API_KEY = "api_key", "callers with the same API key"
    USER = "user", "the same user"


class OtherLanguages(models.TextChoices):
    """How questions are answered in languages that the guards have no words for."""

    EXACT = "exact", "by equal questions only"
    SIMILAR = "similar", "by similar questions, too"


class CachePolicy(TenantModel):
    """At most one row an organization; without one the defaults hold. Read it by `policy_of`."""

    mode = models.CharField(max_length=16, choices=CacheMode.choices, default=CacheMode.SEMANTIC)
    threshold = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.5), MaxValueValidator(1.0)],
        verbose_name="similarity threshold",
        help_text="cosine; empty for the embedder's own default",
    )
    shared_with = models.CharField(max_length=16, choices=SharedWith.choices, default=SharedWith.ORGANIZATION)
    ttl_hours = models.PositiveIntegerField(
        default=TTL_HOURS, validators=[MinValueValidator(1), MaxValueValidator(24 * 90)], verbose_name="hours kept"
    )
    max_entries = models.PositiveIntegerField(
        default=ENTRIES_MAX, validators=[MinValueValidator(1), MaxValueValidator(1_000_000)]
    )
    max_temperature = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(2.0)],
        verbose_name="highest temperature",
        help_text="calls above it are never answered by meaning",
    )
    other_languages = models.CharField(
        max_length=16,
        choices=OtherLanguages.choices,
        default=OtherLanguages.EXACT,
        help_text="languages that the guards have no words for",
    )
    error_target = models.FloatField(
        default=0.02,
        validators=[MinValueValidator(0.001), MaxValueValidator(0.2)],
        help_text="share of wrong answers among those served by meaning that a proposed threshold must keep",
    )
    reask_share = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(0.2)],
        help_text="share of hits that are asked again in the background to measure error; 0 for none",
    )
    reask_day_nano = models.BigIntegerField(
        default=0, validators=[MinValueValidator(0)], help_text="what that may cost a day; nano-dollars"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization"], name="one_cache_policy")]
        verbose_name_plural = "cache policies"

    def __str__(self) -> str:
        return f"cache policy of {self.organization_id}"

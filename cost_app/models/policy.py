"""An organization's spend policy."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from aiinfra.tenants.models import TenantModel


class BoundMode(models.TextChoices):
    """How the maximum cost of a call is computed before it is sent; docs/cost.md compares the two."""

    STRICT = "strict", "Strict: a true upper bound from the bytes of the prompt"
    NORMAL = "normal", "Normal: token count x 1.1 + 64"


class UnpricedModels(models.TextChoices):
    """What happens to a call of a model that the price book does not know."""

    WARN = "warn", "Allow the call, mark it as unpriced, and raise an alert"
    BLOCK = "block", "Refuse the call"


class CostPolicy(TenantModel):
    """At most one row per organization; without one, the defaults apply. Read it with `policy_of`."""

    unpriced_models = models.CharField(
        max_length=8,
        choices=UnpricedModels.choices,
        default=UnpricedModels.BLOCK,
        verbose_name="models without a price",
    )
    bound_mode = models.CharField(
        max_length=8, choices=BoundMode.choices, default=BoundMode.STRICT, verbose_name="cost estimate mode"
    )
    month_starts_on = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(28)],
        verbose_name="first day of fiscal months",
    )
    allowed_models = models.JSONField(
        default=list,
        blank=True,
        help_text='[{"provider": ..., "model": ..., "classes": ["simple", ...]}]; empty for all',
    )
    spike_percent = models.PositiveIntegerField(default=200, verbose_name="minimum spike, percent")
    spike_floor_nano = models.BigIntegerField(default=1_000_000_000, help_text="minimum spike in nano-dollars")
    hourly_days = models.PositiveSmallIntegerField(default=7, verbose_name="days of hourly figures shown")
    daily_days = models.PositiveSmallIntegerField(default=30, verbose_name="days of daily figures shown")
    weekly_weeks = models.PositiveSmallIntegerField(default=52, verbose_name="weeks of weekly figures shown")
    monthly_months = models.PositiveSmallIntegerField(default=24, verbose_name="months of monthly figures shown")
    usage_time_zone = models.CharField(
        max_length=64, blank=True, help_text="the time zone that the usage tables were folded in; set by the fold"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization"], name="one_cost_policy")]
        verbose_name_plural = "cost policies"

    def __str__(self) -> str:
        return f"cost policy of {self.organization_id}"

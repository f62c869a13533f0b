"""Budgets, their windows, and what each provider call holds or has spent of them. Amounts are nano-dollars."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from aiinfra.money import dollars
from aiinfra.tenants.models import TenantModel
from cost_app.models.ledger import Attempt


class BudgetPeriod(models.TextChoices):
    """How long a window is, in the organization's time zone."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class BudgetScope(models.TextChoices):
    """Which calls a budget counts."""

    ORGANIZATION = "organization", "the whole organization"
    API_KEY = "api_key", "one API key"
    USER = "user", "one user"
    MODEL = "model", "one model"
    TAG = "tag", "one tag"


class Enforcement(models.TextChoices):
    """What a budget does to a call that does not fit."""

    WARN = "warn", "Warn: allow and alert"
    BLOCK = "block", "Block: refuse the call"
    DOWNGRADE = "downgrade", "Downgrade: use a cheaper model above the alert threshold; refuse at the limit"


PERCENT = [MinValueValidator(1), MaxValueValidator(100)]


class Budget(TenantModel):
    """A limit for a period. `scope_value`: "", the key's row id, the user's reference, `provider/model` or the tag."""

    period = models.CharField(max_length=8, choices=BudgetPeriod.choices)
    scope = models.CharField(max_length=16, choices=BudgetScope.choices, default=BudgetScope.ORGANIZATION)
    scope_value = models.CharField(max_length=200, blank=True)
    limit_nano = models.BigIntegerField()
    warning_percent = models.PositiveSmallIntegerField(default=80, validators=PERCENT)
    alert_percent = models.PositiveSmallIntegerField(default=95, validators=PERCENT)
    rollover_unused = models.BooleanField(default=False)
    rollover_cap_nano = models.BigIntegerField(null=True, blank=True, help_text="maximum carry-over")
    enforcement = models.CharField(max_length=16, choices=Enforcement.choices, default=Enforcement.WARN)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    counts_from = models.DateTimeField(null=True, help_text="spending before this does not count; NULL: all counts")
    holds_since = models.DateTimeField(
        null=True, help_text="calls admitted before this have no hold, and count by the ledger; NULL: all have one"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "period", "scope", "scope_value"],
                condition=Q(is_active=True),
                name="one_budget_per_period_and_scope",
            ),
            models.CheckConstraint(condition=Q(limit_nano__gte=0), name="budget_limit_not_negative"),
            models.CheckConstraint(
                condition=Q(warning_percent__lte=F("alert_percent")), name="budget_warns_before_it_alerts"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.period} budget of {self._subject}"

    @property
    def _subject(self) -> str:
        match self.scope:
            case BudgetScope.ORGANIZATION:
                return "the organization"
            case BudgetScope.API_KEY:  # people cannot recognize its ID, and its name takes a query
                return "the API key"
            case _:
                return f"{self.scope} {self.scope_value}"


class BudgetWindow(TenantModel):
    """One period of one budget. `limit_nano` is the budget's limit and what was carried over, without increases.

    `committed_nano` is `opening_nano`, which came from the ledger, and what the holds have committed.
    """

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="windows")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    limit_nano = models.BigIntegerField()
    rollover_nano = models.BigIntegerField(default=0, help_text="the part of the limit that was carried over")
    carries_at_most_nano = models.BigIntegerField(default=0, help_text="cap of the rollover; 0: nothing")
    enforcement = models.CharField(max_length=16, choices=Enforcement.choices)
    opening_nano = models.BigIntegerField(
        default=0, help_text="of the committed, what calls without a hold have cost: the ledger's sum"
    )
    opened_to = models.DateTimeField(null=True, help_text="until when a call may be a part of the opening sum")
    committed_nano = models.BigIntegerField(default=0)
    reserved_nano = models.BigIntegerField(default=0)
    refused_calls = models.BigIntegerField(default=0, help_text="calls that did not fit")
    refused_nano = models.BigIntegerField(default=0, help_text="what the last of them could have cost")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["budget", "starts_at"], name="one_window_per_start"),
            models.CheckConstraint(condition=Q(starts_at__lt=F("ends_at")), name="window_starts_before_it_ends"),
            models.CheckConstraint(condition=Q(reserved_nano__gte=0), name="window_reserved_not_negative"),
        ]
        indexes = [
            models.Index(fields=["budget", "ends_at"], name="window_by_end"),
            models.Index(fields=["organization", "budget", "ends_at"], name="window_of_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M} to {self.ends_at:%Y-%m-%d %H:%M} UTC"


class BudgetIncrease(TenantModel):
    """A temporary increase of a budget's limit, until it expires."""

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="increases")
    nano = models.BigIntegerField()
    reason = models.CharField(max_length=200)
    by = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(nano__gt=0), name="increase_is_positive")]
        indexes = [models.Index(fields=["organization", "budget", "expires_at"], name="increase_in_force")]

    def __str__(self) -> str:
        return f"${dollars(self.nano)} until {self.expires_at:%Y-%m-%d %H:%M} UTC"


class Hold(TenantModel):
    """What one call holds (`reserved_nano`) or has spent (`committed_nano`) of one window: the sum of these."""

    attempt = models.ForeignKey(Attempt, on_delete=models.PROTECT, related_name="holds")
    window = models.ForeignKey(BudgetWindow, on_delete=models.PROTECT, related_name="holds")
    reserved_nano = models.BigIntegerField(default=0)
    committed_nano = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["attempt", "window"], name="one_hold_per_call_and_window"),
            models.CheckConstraint(condition=Q(reserved_nano__gte=0), name="hold_reserved_not_negative"),
        ]

    def __str__(self) -> str:
        return f"hold of attempt {self.attempt_id}"

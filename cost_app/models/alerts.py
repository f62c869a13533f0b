"""Alerts: one row a cause and window, from its beginning to its end."""

from django.db import models
from django.utils import timezone

from aiinfra.tenants.models import TenantModel
from cost_app.models.budgets import Budget


class AlertKind(models.TextChoices):
    """What happened."""

    BUDGET_WARNING = "budget_warning"
    BUDGET_EXCEEDED = "budget_exceeded"
    COST_SPIKE = "cost_spike"
    UNUSUAL_USAGE = "unusual_usage"
    PRICE_MISSING = "price_missing"
    OVERRUN = "overrun"


class Severity(models.TextChoices):
    """How soon somebody should look."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class AlertState(models.TextChoices):
    """Its life: open -> acknowledged | snoozed -> resolved, by a person or because the cause ended."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Alert(TenantModel):
    """One cause in one window, said once. `cause` names it: `budget:12:2026-11-01:warning`."""

    kind = models.CharField(max_length=32, choices=AlertKind.choices)
    severity = models.CharField(max_length=16, choices=Severity.choices)
    state = models.CharField(max_length=16, choices=AlertState.choices, default=AlertState.OPEN)
    cause = models.CharField(max_length=200)
    message = models.CharField(max_length=500)
    budget = models.ForeignKey(Budget, null=True, on_delete=models.PROTECT, related_name="alerts")
    current_nano = models.BigIntegerField(default=0)
    limit_nano = models.BigIntegerField(null=True)
    threshold_percent = models.PositiveSmallIntegerField(null=True)
    explanation = models.JSONField(default=dict, help_text="who and what contributed most")
    opened_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    told_at = models.DateTimeField(null=True, help_text="when it was last handed to the channels")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, blank=True)
    snoozed_until = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=200, blank=True, help_text="empty where the cause ended by itself")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "cause"], name="one_alert_per_cause")]
        indexes = [models.Index(fields=["organization", "-opened_at"], name="alert_by_time")]

    def __str__(self) -> str:
        return f"{self.kind} {self.cause}"

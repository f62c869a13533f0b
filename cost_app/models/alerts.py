"""Alerts: one row per cause and window."""

from django.db import models
from django.utils import timezone

from aiinfra.notifications.models import Severity
from aiinfra.tenants.models import OwnedModel
from cost_app.models.budgets import Budget


class AlertKind(models.TextChoices):
    """What happened."""

    BUDGET_WARNING = "budget_warning"
    BUDGET_EXCEEDED = "budget_exceeded"
    COST_SPIKE = "cost_spike"
    UNUSUAL_USAGE = "unusual_usage"
    PRICE_MISSING = "price_missing"
    OVERRUN = "overrun"
    USAGE_MISSING = "usage_missing"
    COST_DIFFERS = "cost_differs"
    SYSTEM_HEALTH = "system_health"
    PROVIDER_DOWN = "provider_down"
    QUEUE_LATENCY = "queue_latency"
    ERROR_RATE = "error_rate"
    QUEUE_DEPTH = "queue_depth"

    @property
    def heading(self) -> str:
        """What happened, as a heading."""
        return self.label.capitalize()


COST_KINDS = frozenset(
    {
        AlertKind.BUDGET_WARNING,
        AlertKind.BUDGET_EXCEEDED,
        AlertKind.COST_SPIKE,
        AlertKind.UNUSUAL_USAGE,
        AlertKind.PRICE_MISSING,
        AlertKind.OVERRUN,
        AlertKind.USAGE_MISSING,
        AlertKind.COST_DIFFERS,
    }
)
"""Found in budgets and spend by `cost_app.alerts.checks`; the others come from `aiinfra.monitoring`."""
STAFF_KINDS = frozenset({AlertKind.SYSTEM_HEALTH, AlertKind.PROVIDER_DOWN})
"""Only the installation has them."""


class AlertState(models.TextChoices):
    """The state of an alert: open -> acknowledged | snoozed -> resolved, by a person or because the cause ended."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"


class Alert(OwnedModel):
    """One alert per cause and window. `cause` names it: `budget:12:2026-11-01:warning`.

    Without an organization it is the installation's, for staff. `told_channels` are the channels that were notified
    that it is open, and not yet that it is resolved.
    """

    kind = models.CharField(max_length=32, choices=AlertKind.choices)
    severity = models.CharField(max_length=16, choices=Severity.choices)
    state = models.CharField(max_length=16, choices=AlertState.choices, default=AlertState.OPEN)
    cause = models.CharField(max_length=200)
    message = models.CharField(max_length=500)
    budget = models.ForeignKey(Budget, null=True, on_delete=models.PROTECT, related_name="alerts")
    current_nano = models.BigIntegerField(null=True, help_text="NULL if the alert is not about an amount")
    limit_nano = models.BigIntegerField(null=True)
    threshold_percent = models.PositiveSmallIntegerField(null=True)
    explanation = models.JSONField(default=dict, help_text="largest contributors")
    opened_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    told_at = models.DateTimeField(null=True, help_text="when it was last sent to the channels")
    told_channels = models.JSONField(default=list, help_text="IDs of the channels to notify when it is resolved")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, blank=True)
    snoozed_until = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=200, blank=True, help_text="empty if the cause ended without action")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "cause"], name="one_alert_per_cause"),
            models.UniqueConstraint(
                fields=["cause"], name="one_installation_alert_per_cause", condition=models.Q(organization=None)
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-opened_at"], name="alert_by_time"),
            models.Index(fields=["organization"], name="alert_live", condition=models.Q(resolved_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.cause}"

    @property
    def title(self) -> str:
        """What happened, as a heading."""
        return AlertKind(self.kind).heading

    @property
    def path(self) -> str:
        """Its page."""
        return f"{'/installation' if self.organization_id is None else ''}/alerts/{self.pk}/"

"""Alert rules, and the incidents they raised."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Coalesce

from aiinfra.tenants.models import OwnedModel

DAY_S = 86_400


class AlertRules(OwnedModel):
    """When the queue of an organization, or of the installation, raises an alert. Without a row, the defaults apply.

    10 s and 5% are the specification's limits. With fewer than 20 requests, a single failure would exceed 5%.
    """

    max_wait_s = models.PositiveIntegerField(
        default=10,
        validators=[MaxValueValidator(DAY_S)],
        verbose_name="queue latency, seconds",
        help_text="Alert when a request that could start has waited longer. 0 turns this alert off.",
    )
    max_error_percent = models.PositiveSmallIntegerField(
        default=5,
        validators=[MaxValueValidator(99)],
        verbose_name="error rate, percent",
        help_text="Alert when a larger share of requests failed in the last 5 minutes. 0 turns this alert off.",
    )
    min_requests = models.PositiveIntegerField(
        default=20,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        verbose_name="error rate, minimum requests",
        help_text="With fewer requests in 5 minutes, no error rate alert is raised.",
    )
    max_depth = models.PositiveIntegerField(
        default=1_000,
        validators=[MaxValueValidator(10_000_000)],
        verbose_name="queue depth, requests",
        help_text="Alert when more requests are waiting. 0 turns this alert off.",
    )

    class Meta:
        constraints = [
            # 0 is no organization's ID: it stands for the installation, because NULL would allow any number of rows.
            models.UniqueConstraint(Coalesce("organization", 0), name="one_row_of_alert_rules"),
        ]
        verbose_name_plural = "alert rules"

    def __str__(self) -> str:
        return f"alert rules of {self.organization or 'the installation'}"


class IncidentState(models.TextChoices):
    """suspected -> open -> ended; a suspicion that the next check does not confirm is deleted."""

    SUSPECTED = "suspected"
    OPEN = "open"
    ENDED = "ended"


class Incident(OwnedModel):
    """A problem over several checks; `aiinfra.monitoring.incidents` has the rules.

    `since` is when it was first seen, and with `name` identifies the alert. `missed_at` is the first check that no
    longer found it.
    """

    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=32)
    state = models.CharField(max_length=16, choices=IncidentState.choices, default=IncidentState.SUSPECTED)
    since = models.DateTimeField()
    seen_at = models.DateTimeField()
    missed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="one_incident_per_name"),
            models.UniqueConstraint(
                fields=["name"], name="one_installation_incident_per_name", condition=models.Q(organization=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.state}"

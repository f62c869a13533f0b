"""Where messages go, and each message on its way there."""

from django.db import models
from django.utils import timezone

from aiinfra.tenants.models import OwnedModel


class Severity(models.TextChoices):
    """How soon somebody should look, the least first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class ChannelKind(models.TextChoices):
    """How a message travels."""

    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Signed webhook"
    SLACK = "slack", "Slack"


class Channel(OwnedModel):
    """One place that messages of an organization go to, or of the installation where `organization` is NULL.

    `target` is an e-mail address or a URL; a URL is a secret like `secret`, because whoever has it can write there.
    A channel that was removed stays for its deliveries, without both.
    """

    kind = models.CharField(max_length=16, choices=ChannelKind.choices)
    name = models.CharField(max_length=100)
    target = models.CharField(max_length=500)
    secret = models.CharField(max_length=100, blank=True, help_text="signs webhooks; empty for other kinds")
    min_severity = models.CharField(max_length=16, choices=Severity.choices, default=Severity.MEDIUM)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


class DeliveryState(models.TextChoices):
    """The life of one: pending -> sent | failed -> sent | failed ... -> given_up. A failed one is tried again."""

    PENDING = "pending", "pending"
    SENT = "sent", "sent"
    FAILED = "failed", "failed, will be tried again"
    GIVEN_UP = "given_up", "given up"


WAITING = [DeliveryState.PENDING.value, DeliveryState.FAILED.value]
"""States in which it is still to be sent."""


class Delivery(OwnedModel):
    """One message to one channel, written with what it tells of in one transaction and sent afterwards.

    `message_id` stays the same through all tries, so that a receiver can tell a repeat. While somebody sends it,
    `next_try_at` is when he counts as lost.
    """

    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="deliveries")
    message_id = models.CharField(max_length=64, unique=True)
    topic = models.CharField(
        max_length=64, blank=True, help_text="messages of one topic reach a channel in the order they were written"
    )
    payload = models.JSONField(help_text="a `Notification`")
    state = models.CharField(max_length=16, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    tries = models.PositiveSmallIntegerField(default=0, help_text="begun so far")
    next_try_at = models.DateTimeField(default=timezone.now)
    last_error = models.CharField(max_length=200, blank=True, help_text="in our words: never what the receiver sent")
    response_status = models.PositiveSmallIntegerField(null=True, help_text="of HTTP or SMTP, of the last try")
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_try_at"], name="delivery_due", condition=models.Q(state__in=["pending", "failed"])
            ),
            models.Index(fields=["organization", "-created_at"], name="delivery_by_time"),
            models.Index(
                fields=["channel", "topic"],
                name="delivery_in_line",
                condition=models.Q(state__in=["pending", "failed"]),
            ),
        ]
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"{self.message_id} {self.state}"

"""Channels, and the deliveries sent through them."""

from django.db import models
from django.utils import timezone

from aiinfra.encrypted_fields import EncryptedTextField, Undecryptable
from aiinfra.partial_indexes import one_of
from aiinfra.signing_secrets import LENGTH_MAX as SECRET_MAX
from aiinfra.tenants.models import ApiKey, OwnedModel
from aiinfra.webhook_urls import LENGTH_MAX


class Severity(models.TextChoices):
    """How urgent a message is, lowest first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class ChannelKind(models.TextChoices):
    """How a channel delivers messages."""

    EMAIL = "email", "Email"
    WEBHOOK = "webhook", "Signed webhook"
    SLACK = "slack", "Slack"
    REQUESTS = "requests", "Request webhooks"


class Channel(OwnedModel):
    """A destination for messages of an organization or, where `organization` is NULL, of the installation.

    `target` is an email address or a URL; the URL is as secret as `secret`, because anyone who has it can post there.
    Both are encrypted. A removed channel remains for its deliveries, without both. A channel for request webhooks has
    no target: it signs what goes to the URLs that requests and API keys name, and can switch all of it off.
    """

    kind = models.CharField(max_length=16, choices=ChannelKind.choices)
    name = models.CharField(max_length=100)
    target = EncryptedTextField(max_length=LENGTH_MAX, blank=True)
    secret = EncryptedTextField(max_length=SECRET_MAX, blank=True, help_text="signs webhooks; empty for other kinds")
    min_severity = models.CharField(max_length=16, choices=Severity.choices, default=Severity.MEDIUM)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"

    @property
    def is_for_requests(self) -> bool:
        """Whether it signs request webhooks instead of receiving alerts."""
        return self.kind == ChannelKind.REQUESTS

    @property
    def is_undecryptable(self) -> bool:
        """Whether no key of this installation decrypts its address or secret. Nothing can be sent then."""
        return isinstance(self.target, Undecryptable) or isinstance(self.secret, Undecryptable)


class DeliveryState(models.TextChoices):
    """pending -> sent | failed -> sent | failed ... -> given_up. A failed delivery is retried."""

    PENDING = "pending", "pending"
    SENT = "sent", "sent"
    FAILED = "failed", "failed, will be retried"
    GIVEN_UP = "given_up", "given up"


WAITING = one_of("state", [DeliveryState.PENDING.value, DeliveryState.FAILED.value])
"""The delivery is still to be sent."""
OF_CHANNELS = models.Q(about__isnull=True)
"""The delivery goes to its channel's target."""
OF_REQUESTS = models.Q(about__isnull=False)
"""The delivery goes to the URL that a request or its API key named."""


class Delivery(OwnedModel):
    """A message to one channel, written in one transaction with the change it reports, and sent afterwards.

    `message_id` stays the same across attempts, so that a receiver can recognize a repeat. While a process is sending
    it, `next_try_at` is when that process counts as lost. A request webhook has its own target. It has no channel if
    the organization had none for request webhooks when it was written; then its API key's secret signs it.
    """

    channel = models.ForeignKey(Channel, null=True, on_delete=models.PROTECT, related_name="deliveries")
    api_key = models.ForeignKey(
        ApiKey,
        null=True,
        db_index=False,  # no query looks for a key's deliveries
        on_delete=models.PROTECT,
        related_name="+",
        help_text="the key that sent the request, whose secret signs the webhook if it has one",
    )
    message_id = models.CharField(max_length=64, unique=True)
    topic = models.CharField(
        max_length=64,
        blank=True,
        help_text="a channel receives the messages of one topic in the order they were written",
    )
    about = models.CharField(  # noqa: DJ001 - NULL where the message is not a request webhook
        max_length=64, null=True, help_text="the request or batch that named the target"
    )
    target = EncryptedTextField(max_length=LENGTH_MAX, null=True, help_text="instead of the channel's")
    host = models.CharField(max_length=255, default="", db_default="", help_text="host name in `target`")
    payload = models.JSONField(help_text="a `Notification`")
    state = models.CharField(max_length=16, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    tries = models.PositiveSmallIntegerField(default=0, help_text="attempts started so far")
    next_try_at = models.DateTimeField(default=timezone.now)
    last_error = models.CharField(
        max_length=200, blank=True, help_text="our own description, never the receiver's text"
    )
    response_status = models.PositiveSmallIntegerField(null=True, help_text="HTTP or SMTP status of the last attempt")
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["next_try_at"], name="message_due", condition=WAITING & OF_CHANNELS),
            models.Index(fields=["next_try_at"], name="webhook_due", condition=WAITING & OF_REQUESTS),
            models.Index(fields=["organization", "-created_at"], name="message_by_time", condition=OF_CHANNELS),
            models.Index(fields=["organization", "-created_at"], name="webhook_by_time", condition=OF_REQUESTS),
            models.Index(fields=["created_at"], name="delivery_by_age"),
            models.Index(fields=["channel", "topic"], name="delivery_in_line", condition=WAITING),
        ]
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"{self.message_id} {self.state}"

    @property
    def kind(self) -> ChannelKind:
        """How it is delivered."""
        return ChannelKind(self.channel.kind) if self.channel else ChannelKind.REQUESTS

    @property
    def url(self) -> str:
        """Where it is sent."""
        target: str = self.channel.target if self.channel and self.target is None else self.target
        return target

    @property
    def signing_secret(self) -> str:
        """The secret of its API key, or else that of its channel; empty without both."""
        key, secret = self.api_key, self.channel.secret if self.channel else ""
        if key and key.webhook_secret is not None and key.organization_id == self.organization_id:
            secret = key.webhook_secret
        return secret

    @property
    def is_undecryptable(self) -> bool:
        """Whether no key of this installation decrypts its address or secret. It can't be sent then."""
        return isinstance(self.url, Undecryptable) or isinstance(self.signing_secret, Undecryptable)

"""The queue's tables. The rows are the source of truth; the Redis index is rebuilt from them."""

import uuid

from django.db import models
from django.utils import timezone

from aiinfra.encrypted_fields import EncryptedTextField
from aiinfra.tenants.models import ApiKey, TenantModel
from aiinfra.webhook_urls import LENGTH_MAX


class Priority(models.IntegerChoices):
    """The four priorities, with the weights of the specification."""

    LOW = 10
    NORMAL = 100
    HIGH = 500
    CRITICAL = 1000


class Status(models.TextChoices):
    """A request's status. It ends once, in one of the last three."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


LIVE = (Status.PENDING, Status.PROCESSING)
ENDED = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


DIRECT = "direct:"
"""Begins the `worker` of a request that its client's own connection runs, not a worker."""

UNCOUNTED = models.Q(counted=False, completed_at__isnull=False)


class AIRequest(TenantModel):
    """One accepted request.

    `attempt_number` is the fence: every UPDATE by a worker names the number that it claimed, so a worker that lost its
    lease changes nothing. `provider` and `model` are what the client asked for; the attempts show which model answered.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=32)
    model = models.CharField(max_length=128)
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.NORMAL)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    attempt_number = models.PositiveSmallIntegerField(default=1)
    first_attempt_number = models.PositiveSmallIntegerField(default=1, help_text="since acceptance or a manual retry")
    max_retries = models.PositiveSmallIntegerField(default=3)
    timeout_ms = models.PositiveIntegerField(default=30_000)
    crashes = models.PositiveSmallIntegerField(default=0, help_text="workers that were lost while running it")

    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.PROTECT, related_name="+")
    user_ref = models.CharField(max_length=128, blank=True, help_text="the client's own user ID, or the login name")
    conversation_id = models.CharField(max_length=128, blank=True)
    tags = models.JSONField(default=list)
    metadata = models.JSONField(default=dict)
    cache_mode = models.CharField(max_length=8, default="use")
    webhook = EncryptedTextField(max_length=LENGTH_MAX, null=True, help_text="URL that is notified of its end")

    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001 - NULLs are distinct, "" would collide
    fingerprint = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the body sent with the key")
    accepted_position = models.PositiveIntegerField(null=True)

    created_at = models.DateTimeField(default=timezone.now)
    not_before = models.DateTimeField(default=timezone.now, help_text="earliest start of the next attempt")
    started_at = models.DateTimeField(null=True, help_text="first claim")
    completed_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=64, blank=True)

    cached = models.BooleanField(default=False, help_text="answered without a separate provider call")
    flight = models.CharField(  # noqa: DJ001 - NULLs are distinct, "" would collide
        max_length=32, null=True, help_text="the question it asks, while identical requests wait for its answer"
    )
    next_model = models.CharField(
        max_length=161,
        blank=True,
        help_text="provider/model of the current attempt, if it differs from the requested one",
    )
    leader_id = models.UUIDField(null=True, help_text="the identical request whose answer it waits for")
    counted = models.BooleanField(default=False, help_text="included in the minute and total counts")
    error_code = models.CharField(max_length=32, blank=True)
    error_message = models.TextField(blank=True)

    is_awaited = False
    """Whether its client waits in this process for its turn in the queue. Not stored."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "idempotency_key"], name="idempotency_key_once"),
            models.UniqueConstraint(fields=["organization", "flight"], name="one_leader_a_flight"),
            models.CheckConstraint(condition=models.Q(status__in=list(Status)), name="request_status_known"),
            models.CheckConstraint(condition=models.Q(priority__in=list(Priority)), name="request_priority_known"),
            models.CheckConstraint(
                condition=models.Q(status__in=LIVE, completed_at=None)
                | models.Q(status__in=ENDED, completed_at__isnull=False),
                name="request_ended_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="request_by_age"),
            models.Index(
                fields=["organization", "priority", "created_at"],
                name="request_pending",
                condition=models.Q(status="pending"),
            ),
            models.Index(fields=["completed_at"], name="request_flight_left", condition=models.Q(flight__isnull=False)),
            models.Index(
                fields=["leader_id"],
                name="request_following",
                condition=models.Q(status="pending", leader_id__isnull=False),
            ),
            # Has every column of the query. Otherwise, SQLite without statistics reads all of the organization's rows.
            models.Index(
                fields=["organization", "leader_id", "created_at", "id"],
                name="request_followers",
                condition=models.Q(status="pending", leader_id__isnull=False),
            ),
            models.Index(
                fields=["organization", "not_before"],
                name="request_held",
                condition=models.Q(status="pending"),
            ),
            models.Index(
                fields=["organization", "error_code", "-created_at"],
                name="request_by_error",
                condition=~models.Q(error_code=""),
            ),
            models.Index(
                fields=["organization", "lease_until"],
                name="request_leased",
                condition=models.Q(status="processing"),
            ),
            models.Index(fields=["organization", "completed_at"], name="request_uncounted", condition=UNCOUNTED),
            models.Index(fields=["completed_at"], name="request_ended", condition=models.Q(completed_at__isnull=False)),
        ]
        verbose_name = "AI request"

    def __str__(self) -> str:
        return f"{self.id} {self.status}"

    @property
    def is_direct(self) -> bool:
        """Whether its current attempt is made by the process that accepted it, for a client that waits there."""
        return self.worker.startswith(DIRECT)

    @property
    def next_call(self) -> str:
        """`provider/model` of the current attempt. Provider limits count its calls by this name."""
        return self.next_model or f"{self.provider}/{self.model}"


class RequestContent(TenantModel):
    """Prompt and answer, packed. Stored apart from the request because they are large and are deleted earlier."""

    request = models.OneToOneField(AIRequest, on_delete=models.CASCADE, primary_key=True, related_name="content")
    call = models.BinaryField(help_text="messages and parameters")
    response = models.BinaryField(null=True)

    def __str__(self) -> str:
        return f"content of {self.request_id}"


class QueuePolicy(TenantModel):
    """An organization's share of the queue. Without a row the defaults apply."""

    DEPTH_LIMIT = 10_000

    weight = models.PositiveSmallIntegerField(default=1, help_text="share relative to the other organizations")
    max_in_flight = models.PositiveIntegerField(default=0, help_text="requests processed at once; 0 means no limit")
    depth_limit = models.PositiveIntegerField(default=DEPTH_LIMIT, help_text="pending requests before new ones get 429")
    paused_priorities = models.JSONField(default=list, help_text="weights of the priorities that are paused")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization"], name="one_queue_policy"),
            models.CheckConstraint(condition=models.Q(weight__gte=1), name="queue_weight_positive"),
        ]
        verbose_name_plural = "queue policies"

    def __str__(self) -> str:
        return f"queue policy of {self.organization}"


class OutcomeCounts(TenantModel):
    """Outcomes of finished requests, counted so that no figure reads the raw rows: see
    `queue_app.stats.outcome_counts`.
    """

    priority = models.PositiveSmallIntegerField(choices=Priority.choices)
    started = models.PositiveBigIntegerField(default=0, help_text="of those that ended")
    completed = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    cancelled = models.PositiveBigIntegerField(default=0)
    wait_ms = models.BigIntegerField(default=0, help_text="total over started requests: acceptance to first claim")
    run_ms = models.BigIntegerField(default=0, help_text="total over started requests: first claim to end")

    class Meta:
        abstract = True


class QueueMinute(OutcomeCounts):
    """Counts for one minute, kept for as long as the charts look back."""

    minute = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "minute", "priority"], name="one_row_a_minute_and_priority")
        ]
        indexes = [models.Index(fields=["minute"], name="queue_minute")]

    def __str__(self) -> str:
        return f"{self.minute:%H:%M} {self.priority}"


class QueueTotal(OutcomeCounts):
    """Counts since the organization's first request."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "priority"], name="one_total_a_priority")]

    def __str__(self) -> str:
        return f"total of priority {self.priority}"


class ArchivedMonth(TenantModel):
    """A month whose requests were moved to files; see `queue_app.archive`. Written before the first one is deleted."""

    first_day = models.DateField()
    name = models.CharField(max_length=64)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(help_text="exclusive")
    requests = models.PositiveIntegerField()
    nano = models.BigIntegerField(help_text="what their calls cost when they were archived, in nano-dollars")
    directory = models.CharField(max_length=500, help_text="where the files were written")
    sha256 = models.CharField(max_length=64, help_text="of the manifest, which has that of the file")
    archived_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "first_day"], name="archived_once_a_month")]
        ordering = ["-first_day"]

    def __str__(self) -> str:
        return self.name

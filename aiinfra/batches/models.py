"""Tables of files and batches."""

import uuid
from datetime import datetime, timedelta
from typing import ClassVar

from django.db import models
from django.utils import timezone

from aiinfra.encrypted_fields import EncryptedTextField
from aiinfra.tenants.models import ApiKey, TenantModel, User
from aiinfra.webhook_urls import LENGTH_MAX


class Purpose(models.TextChoices):
    """A file's purpose, in OpenAI's terms."""

    BATCH = "batch"
    BATCH_OUTPUT = "batch_output"


class StoredFile(TenantModel):
    """A file of JSON lines: the calls of a batch, or their results. Its content is in `FileChunk`.

    It belongs to the API key or, without one, to the person who uploaded it.
    """

    PREFIX: ClassVar[str] = "file-"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    name = models.CharField(max_length=255)
    size = models.PositiveIntegerField(default=0, help_text="bytes, before compression")
    lines = models.PositiveIntegerField(default=0)
    chunks = models.PositiveIntegerField(default=0)
    is_complete = models.BooleanField(default=True, help_text="false while a batch is writing it")
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.PROTECT, related_name="+")
    user_ref = models.CharField(max_length=128, blank=True, help_text="the login name, if no key was used")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, help_text="if the client chose an earlier end than the retention's")

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="file_by_age"),
            models.Index(fields=["created_at"], name="file_age"),
            models.Index(fields=["expires_at"], name="file_end", condition=models.Q(expires_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.PREFIX}{self.id.hex}"

    def ends_at(self, content_days: int) -> datetime:
        """When it is deleted, if the organization keeps content for this many days."""
        kept_until = self.created_at + timedelta(days=content_days)
        return min(kept_until, self.expires_at or kept_until)


class FileChunk(TenantModel):
    """Some whole lines of a file."""

    file = models.ForeignKey(StoredFile, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveIntegerField(help_text="from 0")
    content = models.BinaryField(help_text="compressed")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["file", "number"], name="one_chunk_per_number")]

    def __str__(self) -> str:
        return f"part {self.number} of {self.file_id}"


class BatchStatus(models.TextChoices):
    """A batch's status, in OpenAI's terms."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


CANCELLABLE = (BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS)


class Batch(TenantModel):
    """Many calls that run at low priority. The counters change in the transactions that change the lines."""

    PREFIX: ClassVar[str] = "batch_"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    status = models.CharField(max_length=16, choices=BatchStatus.choices, default=BatchStatus.VALIDATING)
    endpoint = models.CharField(max_length=64)
    window_h = models.PositiveSmallIntegerField(default=24, help_text="hours until it expires")
    metadata = models.JSONField(default=dict)
    options = models.JSONField(default=dict, help_text="headers that apply to every call")
    webhook = EncryptedTextField(max_length=LENGTH_MAX, null=True, help_text="URL that is notified of its end")
    when_cheap = models.BooleanField(default=False, help_text="calls wait for the cheapest hours of their model")
    output_seconds = models.PositiveIntegerField(null=True, help_text="how long result files are kept, if chosen")

    input_id = models.UUIDField()
    output_id = models.UUIDField(null=True)
    error_id = models.UUIDField(null=True)
    errors = models.JSONField(default=list, help_text="lines because of which it failed")

    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    user_ref = models.CharField(max_length=128, blank=True, help_text="the login name, if no key was used")
    cancelled_by = models.CharField(max_length=200, blank=True)

    copied_chunks = models.PositiveIntegerField(default=0, help_text="of the input file")
    copied_lines = models.PositiveIntegerField(default=0, help_text="of the input file, blank ones included")
    total = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    cost_nano = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)

    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    in_progress_at = models.DateTimeField(null=True)
    finalizing_at = models.DateTimeField(null=True)
    cancelling_at = models.DateTimeField(null=True)
    expired_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    next_step_at = models.DateTimeField(default=timezone.now, help_text="a scheduler takes it up then, or works on it")

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="batch_by_age"),
            models.Index(fields=["next_step_at"], name="batch_due", condition=models.Q(finished_at=None)),
            models.Index(fields=["organization"], name="batch_open", condition=models.Q(finished_at=None)),
            models.Index(fields=["finished_at"], name="batch_ended", condition=models.Q(finished_at__isnull=False)),
        ]
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return f"{self.PREFIX}{self.id.hex}"

    @property
    def short_id(self) -> str:
        """The beginning of its ID, for tables."""
        return str(self)[:14]

    @property
    def can_be_cancelled(self) -> bool:
        """Whether it has calls that can still be stopped."""
        return self.status in CANCELLABLE

    @property
    def is_stopping(self) -> bool:
        """Whether no further calls are sent, because it was cancelled or has expired."""
        return self.cancelling_at is not None or self.expired_at is not None

    @property
    def ended(self) -> int:
        """Calls that have a result or an error."""
        return self.completed + self.failed


class LineState(models.TextChoices):
    """The state of one call of a batch."""

    WAITING = "waiting"
    SENT = "sent"
    COMPLETED = "completed"
    FAILED = "failed"


class BatchLine(TenantModel):
    """One call of a batch that is not finished. It is deleted once it is in a result file."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveIntegerField(help_text="its line in the input file")
    custom_id = models.CharField(max_length=255)
    state = models.CharField(max_length=16, choices=LineState.choices, default=LineState.WAITING)
    body = models.BinaryField(help_text="compressed")
    request_id = models.UUIDField(null=True, help_text="its request in the queue")
    result = models.BinaryField(null=True, help_text="compressed; response and error")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["batch", "number"], name="one_line_per_number"),
            models.UniqueConstraint(fields=["batch", "custom_id"], name="one_line_per_custom_id"),
        ]
        indexes = [models.Index(fields=["batch", "state", "number"], name="line_by_state")]

    def __str__(self) -> str:
        return f"line {self.number} of {self.batch_id}"

"""Providers' usage files, closed months, and scheduled exports."""

import uuid

from django.db import models
from django.utils import timezone

from aiinfra.tenants.models import TenantModel


class InvoiceImport(TenantModel):
    """One usage file of a provider, and how it compares with the ledger."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=32)
    file_name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    first_day = models.DateField()
    last_day = models.DateField()
    uploaded_by = models.CharField(max_length=200)
    uploaded_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "sha256"], name="one_import_per_file")]

    def __str__(self) -> str:
        return f"{self.provider} {self.file_name}"


class InvoiceUpload(TenantModel):
    """A large usage file until it has been compared. The import has the same id and replaces it.

    A file that cannot be read keeps its row for a week, with the error and without the content.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=32)
    file_name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField(help_text="bytes")
    content = models.BinaryField(help_text="compressed; empty once it was found unreadable")
    uploaded_by = models.CharField(max_length=200)
    uploaded_at = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(null=True, help_text="a scheduler reads the file until then")
    tries = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "sha256"], name="one_upload_per_file")]
        indexes = [models.Index(fields=["uploaded_at"], name="upload_waiting", condition=models.Q(error=""))]

    def __str__(self) -> str:
        return f"{self.provider} {self.file_name}"


class InvoiceLine(TenantModel):
    """One day (UTC), model and token class: the provider's figures, and the ledger's at the time of the upload."""

    invoice = models.ForeignKey(InvoiceImport, on_delete=models.CASCADE, related_name="lines")
    day = models.DateField()
    model = models.CharField(max_length=128)
    token_class = models.CharField(max_length=16)
    invoice_tokens = models.BigIntegerField(null=True, help_text="None if the file has only costs")
    invoice_nano = models.BigIntegerField(null=True, help_text="None if the file has only tokens")
    ledger_tokens = models.BigIntegerField(default=0)
    ledger_nano = models.BigIntegerField(default=0)
    likely_cause = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["invoice", "day", "model", "token_class"], name="one_line_per_class")
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.model} {self.token_class}"


class MonthClose(TenantModel):
    """A closed month: its signed figures at the time of closing. Append-only: triggers in both databases."""

    first_day = models.DateField()
    last_day = models.DateField()
    snapshot = models.JSONField()
    signature = models.CharField(max_length=128)
    closed_by = models.CharField(max_length=200)
    closed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "first_day"], name="one_close_per_month")]

    def __str__(self) -> str:
        return f"{self.first_day} to {self.last_day}"


class ExportDelivery(TenantModel):
    """A file that is written to the export directory on a schedule, and the result of the last attempt."""

    kind = models.CharField(max_length=16)
    first_day = models.DateField(help_text="of the month that the file is about")
    sha256 = models.CharField(max_length=64, blank=True)
    size = models.BigIntegerField(default=0, help_text="bytes")
    error = models.CharField(max_length=200, blank=True, help_text="why the last attempt failed; empty if it did not")
    attempted_at = models.DateTimeField(default=timezone.now)
    delivered_at = models.DateTimeField(null=True, help_text="when the file that is there was written")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "kind", "first_day"], name="one_delivery_per_file")
        ]
        verbose_name_plural = "export deliveries"

    def __str__(self) -> str:
        return self.file_name

    @property
    def file_name(self) -> str:
        """In the organization's folder."""
        return f"{self.kind}_{self.first_day}.csv"

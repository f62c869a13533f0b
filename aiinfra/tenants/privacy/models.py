"""Retention, legal holds, and erasures of an organization."""

import uuid

from django.db import models
from django.utils import timezone

from aiinfra.tenants.models import TenantModel


class RetentionPolicy(TenantModel):
    """How long an organization keeps its requests; never longer than the installation does. Without a row, as long."""

    request_days = models.PositiveIntegerField(help_text="days after which an ended request is deleted")
    content_days = models.PositiveIntegerField(help_text="days after which its prompt and answer are deleted")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization"], name="one_retention_policy"),
            models.CheckConstraint(
                condition=models.Q(content_days__gte=1, content_days__lte=models.F("request_days")),
                name="content_not_longer_than_request",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.content_days} and {self.request_days} days"


class LegalHold(TenantModel):
    """Stops retention and erasure for one user of an organization or, without a user, for all of its content."""

    user_ref = models.CharField(max_length=128, blank=True, help_text="empty for the whole organization")
    reason = models.CharField(max_length=200)
    placed_by = models.CharField(max_length=200)
    placed_at = models.DateTimeField(default=timezone.now)
    released_by = models.CharField(max_length=200, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.user_ref or 'everything'}: {self.reason}"

    def covers(self, user_ref: str) -> bool:
        """Whether it covers any of the user's content, or of the organization's for ""."""
        return not self.user_ref or not user_ref or self.user_ref == user_ref


class Erasure(TenantModel):
    """An erasure, and its receipt once it has finished. `user_ref` is forgotten then; the pseudonym replaces it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    everything = models.BooleanField(default=False, help_text="the whole organization's content")
    user_ref = models.CharField(max_length=128, blank=True)
    pseudonym = models.CharField(max_length=32)
    requested_by = models.CharField(max_length=200)
    requested_at = models.DateTimeField(default=timezone.now)
    counts = models.JSONField(default=dict, help_text="rows or entries by store")
    finished_at = models.DateTimeField(null=True)
    digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the receipt")

    class Meta:
        indexes = [
            models.Index(fields=["requested_at"], name="erasure_open", condition=models.Q(finished_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.pseudonym} of {self.requested_at:%Y-%m-%d}"

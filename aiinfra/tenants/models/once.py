"""Answers kept for repeated requests."""

import uuid

from django.db import models
from django.utils import timezone

from aiinfra.tenants.models.organizations import OwnedModel


class OnceAnswer(OwnedModel):
    """The answer to a write, so that a repeated request runs once and gets the same answer; see `aiinfra.idempotency`.

    Rows are kept for one day. `status` is NULL while the first request is running.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the owner and the caller's key")
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the request")
    created_at = models.DateTimeField(default=timezone.now)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(help_text="JSON of an API response; for a form, the redirect target, never a page")

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="once_answer_by_age")]

    def __str__(self) -> str:
        return f"{self.digest[:8]}: {self.status or 'in progress'}"

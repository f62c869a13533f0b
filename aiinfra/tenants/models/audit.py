"""The audit log."""

import uuid
from ipaddress import ip_address
from typing import Any

from django.db import models
from django.utils import timezone

from aiinfra.tenants.models.organizations import OwnedModel


class AuditEvent(OwnedModel):
    """A change: who did what to what. Without an organization, it changed the installation.

    Append-only: triggers in both databases refuse UPDATE and DELETE. Each organization's events are a chain, see
    `security_log.chain`; a row without a place in it was not written by `audit.record`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=200, help_text="username, API key or command")
    verb = models.CharField(max_length=64, help_text="what was done, as noun.verb, such as api_key.revoked")
    target = models.CharField(max_length=200)
    changes = models.JSONField(default=dict, help_text="field: [before, after]; never a secret")
    request_id = models.CharField(max_length=64, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    sequence = models.BigIntegerField(null=True, editable=False, help_text="counts the organization's events")
    digest = models.CharField(max_length=64, blank=True, editable=False, help_text="see the security log")

    class Meta:
        indexes = [models.Index(fields=["organization", "-at", "-id"], name="audit_by_time")]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "sequence"],
                condition=models.Q(organization__isnull=False),
                name="audit_sequence_of_organization",
            ),
            models.UniqueConstraint(
                fields=["sequence"],
                condition=models.Q(organization__isnull=True),
                name="audit_sequence_of_installation",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.target}"

    def chained(self) -> dict[str, Any]:
        """What the digest covers."""
        return {
            "id": self.pk,
            "organization": self.organization_id,
            "at": self.at,
            "actor": self.actor,
            "verb": self.verb,
            "target": self.target,
            "changes": self.changes,
            "request_id": self.request_id,
            "address": ip_address(self.ip_address).exploded if self.ip_address else None,
        }

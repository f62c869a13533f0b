"""The rows of the security log, and the head of each chain."""

import json
from ipaddress import ip_address
from typing import Any

from django.db import models
from django.utils import timezone


class SecurityEvent(models.Model):
    """Something that matters for security. Organizations are named, not referenced: the log outlives what it names.

    Append-only: triggers in both databases refuse UPDATE, DELETE and REPLACE. `sequence` counts without gaps.
    """

    sequence = models.BigIntegerField(primary_key=True)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the previous digest and this row")
    at = models.DateTimeField(default=timezone.now)
    event = models.CharField(max_length=64, help_text="noun.verb, such as login.failed")
    actor = models.CharField(max_length=200, blank=True, help_text="empty if unknown")
    organization = models.CharField(max_length=63, blank=True, help_text="the slug; empty for the installation")
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    target = models.CharField(max_length=200, blank=True)
    details = models.JSONField(default=dict, help_text="never a secret, never prompt text")

    class Meta:
        indexes = [
            models.Index(fields=["event", "-sequence"], name="security_by_event"),
            models.Index(fields=["actor", "-sequence"], name="security_by_actor"),
            models.Index(fields=["organization", "-sequence"], name="security_by_organization"),
            models.Index(fields=["ip_address", "-sequence"], name="security_by_address"),
            models.Index(fields=["at"], name="security_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence}: {self.event} {self.target}".strip()

    @property
    def details_text(self) -> str:
        """The details as indented JSON, for people."""
        return json.dumps(self.details, indent=2, ensure_ascii=False)

    def chained(self) -> dict[str, Any]:
        """What the digest covers."""
        return {
            "at": self.at,
            "event": self.event,
            "actor": self.actor,
            "organization": self.organization,
            "address": ip_address(self.ip_address).exploded if self.ip_address else None,
            "request_id": self.request_id,
            "target": self.target,
            "details": self.details,
        }


class ChainHead(models.Model):
    """The newest link of a chain: locked while a row is appended, and compared with the last row by verification."""

    name = models.CharField(primary_key=True, max_length=64)
    length = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.name} {self.length}"


class CountedMinute(models.Model):
    """A minute whose repeated events were written, so that a crash writes none of them twice; kept for two days."""

    name = models.CharField(primary_key=True, max_length=100, help_text="the kind of event, and minutes since 1970")
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name

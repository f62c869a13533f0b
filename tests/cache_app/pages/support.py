"""Helpers for the tests of several pages."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aiinfra import timed_cache
from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope
from cache_app.metrics.counts import begin_of_day
from cache_app.models import CacheCount, CachePolicy, CountSpan, ThresholdProposal

HTMX = {"HX-Request": "true"}
SEEN = {
    "look": 1_000,
    "hit:exact": 200,
    "hit:semantic": 100,
    "hit:flight": 10,
    "miss:threshold": 40,
    "miss:numbers": 30,
    "miss:unsuited:short": 20,
    "similarity:82:below": 40,
    "similarity:86:served": 60,
    "similarity:91:served": 40,
    "similarity:93:refused": 30,
    "saved_nano": 12_340_000_000,
    "saved_ms": 90_000,
    "similarity_sum": 91_0000,
}
"""Typical counts of a day."""


def counted(organization: Organization, counts: Mapping[str, int] = SEEN, *, days_ago: int = 1) -> None:
    """Create the counts of a day. The default is yesterday, because today may end during the test."""
    starts_at = begin_of_day(timezone.now() - timedelta(days=days_ago), ZoneInfo(organization.time_zone))
    with organization_scope(organization.pk):
        CacheCount.objects.bulk_create(
            CacheCount(organization=organization, span=CountSpan.DAY, starts_at=starts_at, name=name, count=count)
            for name, count in counts.items()
        )


def make_proposal(organization: Organization, **columns: Any) -> ThresholdProposal:
    """Create an open proposal: 0.91 instead of 0.85."""
    values = {"threshold": 0.91, "before": 0.85, "error_target": 0.02, "pairs": 212, "wrong": 1, **columns}
    proposal = ThresholdProposal(
        organization=organization, embedder="minilm-l6-v2-int8/1", error_upper=0.0182, hits_kept=0.83, **values
    )
    with organization_scope(organization.pk):
        return ThresholdProposal.objects.insert(proposal)


def policy_in(organization: Organization) -> CachePolicy | None:
    """The stored settings; None if the defaults apply."""
    with organization_scope(organization.pk):
        return CachePolicy.objects.first()


def audited(organization: Organization) -> list[tuple[str, str, str]]:
    """Actor, verb, and target of each audit event, oldest first."""
    with organization_scope(organization.pk):
        return list(AuditEvent.objects.order_by("at", "id").values_list("actor", "verb", "target"))


def toast_of(response: Any) -> dict[str, str]:
    """The toast message of an HTMX response."""
    found: dict[str, str] = json.loads(response.headers["HX-Trigger"])["toast"]
    return found


def queries_of(client: Client, url: str) -> int:
    """The number of queries for a page with empty in-process caches."""
    timed_cache.clear_all()
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def spaced(page: str) -> str:
    """The page with whitespace collapsed."""
    return " ".join(page.split())

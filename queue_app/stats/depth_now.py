"""The present state of the queue by organization, for metrics: pending and running requests, totals of ended ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, QuerySet

from aiinfra.tenants.scope import system_scope
from queue_app.models import AIRequest, OutcomeCounts, Priority, QueueTotal, Status

ENDED_AS = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True)
class LaneNow:
    """Requests of one organization and priority that are pending or processing; `oldest_at` is when the oldest was
    accepted.
    """

    organization_id: int
    priority: str
    status: str
    count: int
    oldest_at: datetime


def lanes_now(organization_id: int | None) -> list[LaneNow]:
    """What an organization's queue has (None: all queues). One query, which reads no ended requests."""
    with system_scope():
        live = _of(AIRequest.objects.filter(status__in=[Status.PENDING, Status.PROCESSING]), organization_id)
        counts = live.values_list("organization_id", "priority", "status").order_by()
        rows = list(counts.annotate(count=Count("id"), oldest=Min("created_at")))
    return [LaneNow(owner, _name(priority), status, count, at) for owner, priority, status, count, at in rows]


def totals_ended(organization_id: int | None) -> Iterator[tuple[int, str, str, int]]:
    """(organization, priority, status, requests) of everything that has ended since the first request. One query."""
    with system_scope():
        totals: list[OutcomeCounts] = list(_of(QueueTotal.objects.all(), organization_id))
    for total in totals:
        for status in ENDED_AS:
            yield total.organization_id, _name(total.priority), status.value, getattr(total, status)


def _of(rows: QuerySet[Any], organization_id: int | None) -> QuerySet[Any]:
    return rows if organization_id is None else rows.filter(organization_id=organization_id)


def _name(priority: int) -> str:
    return Priority(priority).name.lower()

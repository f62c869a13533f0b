"""Counts request outcomes, by minute and in total.

Ending a request only leaves it uncounted; every second the scheduler counts what has ended, each request once. This
keeps the workers' transactions short, and no two of them contend for one row of counts. Readers add the few that are
not counted yet, so the figures are always exact.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import ClassVar, cast

from django.db import transaction

from aiinfra.metrics import recorded
from aiinfra.tenants.scope import system_scope
from aiinfra.tenants.shapes import Plus
from queue_app.models import UNCOUNTED, AIRequest, OutcomeCounts, Priority, QueueMinute, QueueTotal

MS = timedelta(milliseconds=1)
BATCH = 1_000
COLUMNS = ("organization_id", "priority", "status", "created_at", "started_at", "completed_at")


@dataclass
class Outcomes:
    """The columns of `OutcomeCounts`, summed. Times in milliseconds."""

    NAMES: ClassVar = ("started", "completed", "failed", "cancelled", "wait_ms", "run_ms")

    started: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    wait_ms: int = 0
    run_ms: int = 0

    def add(self, request: AIRequest) -> None:
        """Count one ended request."""
        setattr(self, request.status, getattr(self, request.status) + 1)
        if request.started_at and request.completed_at:
            self.started += 1
            self.wait_ms += (request.started_at - request.created_at) // MS
            self.run_ms += (request.completed_at - request.started_at) // MS

    def merge(self, other: "Outcomes") -> None:
        """Add another instance's counts."""
        for name in self.NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def uncounted_by_priority() -> dict[int, Outcomes]:
    """Ended requests of the organizations in scope that are not counted yet: about the last second's."""
    outcomes: dict[int, Outcomes] = defaultdict(Outcomes)
    for request in AIRequest.objects.filter(UNCOUNTED).only(*COLUMNS):
        outcomes[request.priority].add(request)
    return outcomes


def count_ended() -> int:
    """Count what has ended, in batches. Returns how many requests were counted. Concurrent runs count each request
    once.
    """
    counted = 0
    with system_scope():
        while (batch := _count_batch()) == BATCH:
            counted += batch
    return counted + batch


@transaction.atomic
def _count_batch() -> int:
    """On PostgreSQL another counter skips the locked rows; SQLite allows one writing transaction at a time."""
    ended = AIRequest.objects.filter(UNCOUNTED).select_for_update(skip_locked=True).only(*COLUMNS)
    requests = list(ended.order_by("organization_id", "completed_at")[:BATCH])
    count_requests(requests)
    AIRequest.objects.filter(id__in=[request.id for request in requests]).update(counted=True)
    transaction.on_commit(lambda: _record(requests), robust=True)
    return len(requests)


def _record(requests: Iterable[AIRequest]) -> None:
    for request in requests:
        waited = (request.started_at - request.created_at).total_seconds() if request.started_at else None
        took = (cast(datetime, request.completed_at) - request.created_at).total_seconds()
        priority = Priority(request.priority).name.lower()
        recorded.request_ended(request.organization_id, priority, request.status, waited, took)


def count_requests(requests: Iterable[AIRequest], minutes_since: datetime | None = None) -> None:
    """Add ended requests to the totals, and to the minutes since `minutes_since`. Call it in a transaction."""
    totals: dict[tuple[int, int], Outcomes] = defaultdict(Outcomes)
    minutes: dict[tuple[int, int, datetime], Outcomes] = defaultdict(Outcomes)
    for request in requests:
        minute = cast(datetime, request.completed_at).replace(second=0, microsecond=0)
        totals[request.organization_id, request.priority].add(request)
        if minutes_since is None or minute >= minutes_since:
            minutes[request.organization_id, request.priority, minute].add(request)
    for (organization_id, priority), outcomes in sorted(totals.items()):
        _add(QueueTotal, {"organization_id": organization_id, "priority": priority}, outcomes)
    for (organization_id, priority, minute), outcomes in sorted(minutes.items()):
        _add(QueueMinute, {"organization_id": organization_id, "priority": priority, "minute": minute}, outcomes)


def _add(table: type[OutcomeCounts], row: Mapping[str, object], outcomes: Outcomes) -> None:
    increments = {name: Plus(amount) for name, amount in asdict(outcomes).items()}
    if not table.objects.change(increments, **row):
        # Two counters may find the row missing at once: both insert, one insert does nothing, and then both add.
        table.objects.bulk_create([table(**row)], ignore_conflicts=True)
        table.objects.change(increments, **row)

"""The current state of every organization's queue, for monitoring that watches all of them.

A handful of queries, however many organizations there are. They read waiting requests, running ones and the counts of
the last minutes: none of them grows with history. Without Redis only the provider limits in use are unknown.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q
from redis.exceptions import RedisError

from aiinfra.tenants.scope import system_scope
from queue_app.models import AIRequest, QueueMinute, QueuePolicy, Status
from queue_app.ordering.provider_limits import waiting_for_limits

ERROR_WINDOW = timedelta(minutes=5)
MODEL = ("provider", "model", "next_model")
SHOWN = 3
"""Number of models and error codes in an explanation."""


@dataclass
class Pressure:
    """One organization, or all together.

    `waiting` counts what has not started, as the queue page does. Of these the `ready` ones could start: their priority
    is not paused, their next attempt is due, and the organization is below its in-flight limit. Of the ready ones
    `limited` wait because their model is at its provider limit; the oldest of the others, which any free worker should
    take, has been ready since `free_since`. `completed` and `failed` cover the last five minutes.
    """

    waiting: int = 0
    ready: int = 0
    ready_since: datetime | None = None
    limited: int = 0
    free_since: datetime | None = None
    completed: int = 0
    failed: int = 0

    @property
    def ended(self) -> int:
        """Requests that completed or failed in the last five minutes."""
        return self.completed + self.failed

    @property
    def error_percent(self) -> float:
        """Percent of them that failed; 0 if none ended."""
        return 100 * self.failed / self.ended if self.ended else 0.0

    def longest_wait_s(self, now: datetime) -> float:
        """Seconds for which the longest-waiting ready request could have been running."""
        return _seconds_since(self.ready_since, now)

    def longest_neglect_s(self, now: datetime) -> float:
        """The same, without requests that wait for a provider limit."""
        return _seconds_since(self.free_since, now)

    def add_ready(self, count: int, since: datetime | None, *, is_limited: bool) -> None:
        """Add a number of ready requests; `since` is when the oldest became ready."""
        self.ready += count
        self.ready_since = _earlier(self.ready_since, since)
        if is_limited:
            self.limited += count
        else:
            self.free_since = _earlier(self.free_since, since)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, [one, other]), default=None)


def _seconds_since(moment: datetime | None, now: datetime) -> float:
    return max((now - moment).total_seconds(), 0.0) if moment else 0.0


def pressures(now: datetime) -> dict[int, Pressure]:
    """Every organization in which something waits or recently ended, by ID. At most four queries."""
    found: dict[int, Pressure] = {}
    with system_scope():
        _add_waiting(found, now)
        # Summed here: to group by organization, SQLite would go through the minutes of all days.
        minutes = QueueMinute.objects.filter(minute__gt=now - ERROR_WINDOW)
        for organization_id, completed, failed in minutes.values_list("organization_id", "completed", "failed"):
            of_one = found.setdefault(organization_id, Pressure())
            of_one.completed += completed
            of_one.failed += failed
    return found


def aggregate(each: Iterable[Pressure]) -> Pressure:
    """All organizations combined."""
    total = Pressure()
    for one in each:
        total.waiting += one.waiting
        total.ready += one.ready
        total.completed += one.completed
        total.failed += one.failed
        total.limited += one.limited
        total.ready_since = _earlier(total.ready_since, one.ready_since)
        total.free_since = _earlier(total.free_since, one.free_since)
    return total


def _add_waiting(found: dict[int, Pressure], now: datetime) -> None:
    is_due = Q(leader_id=None, not_before__lte=now)
    waiting = AIRequest.objects.filter(status=Status.PENDING).values_list("organization_id", "priority", *MODEL)
    counts = waiting.annotate(
        waiting=Count("id"), due=Count("id", filter=is_due), due_since=Min("not_before", filter=is_due)
    )
    rows = list(counts.order_by())
    organization_ids = {organization_id for organization_id, *_ in rows}
    blocked, full = _blocked_lanes(organization_ids), _full_models(organization_ids)
    for organization_id, priority, provider, model, next_model, count, due, due_since in rows:
        of_one = found.setdefault(organization_id, Pressure())
        of_one.waiting += count
        if (organization_id, priority) not in blocked and (organization_id, None) not in blocked:
            name = next_model or f"{provider}/{model}"
            of_one.add_ready(due, due_since, is_limited=name in full)


def _full_models(organization_ids: Collection[int]) -> Collection[str]:
    """Models for which some of their requests wait because of a provider limit, by `provider/model`."""
    try:
        return waiting_for_limits(organization_ids) if organization_ids else ()
    except RedisError:
        return ()


def _blocked_lanes(organization_ids: Collection[int]) -> set[tuple[int, int | None]]:
    """Paused priorities; None stands for the whole organization, which is at its in-flight limit."""
    policies = QueuePolicy.objects.filter(organization_id__in=organization_ids)
    rows = list(policies.values_list("organization_id", "max_in_flight", "paused_priorities"))
    caps = {organization_id: cap for organization_id, cap, _ in rows if cap}
    blocked: set[tuple[int, int | None]] = {(row[0], priority) for row in rows for priority in row[2]}
    if caps:
        running = AIRequest.objects.filter(status=Status.PROCESSING, organization_id__in=caps)
        counts = running.values_list("organization_id").annotate(Count("id")).order_by()
        blocked |= {(organization_id, None) for organization_id, count in counts if count >= caps[organization_id]}
    return blocked


def waiting_by_provider(providers: Collection[str]) -> dict[str, int]:
    """Waiting requests of all organizations that were sent for one of these providers."""
    with system_scope():
        waiting = AIRequest.objects.filter(status=Status.PENDING, provider__in=providers)
        return dict(waiting.values_list("provider").annotate(Count("id")).order_by())


def waiting_models(organization_id: int | None) -> list[tuple[str, int]]:
    """(provider/model, requests) that most requests of an organization (None: of all) wait for."""
    with system_scope():
        waiting = AIRequest.objects.filter(status=Status.PENDING, **_owner(organization_id))
        counts = waiting.values_list("provider", "model").annotate(count=Count("id")).order_by("-count")[:SHOWN]
        return [(f"{provider}/{model}", count) for provider, model, count in counts]


def recent_failures(organization_id: int | None, now: datetime) -> list[tuple[str, str, int]]:
    """(error code, provider/model, requests) of the most frequent failures of the last five minutes.

    Reads the requests that ended in that time.
    """
    with system_scope():
        ended = AIRequest.objects.filter(completed_at__gt=now - ERROR_WINDOW)
        failed = ended.filter(status=Status.FAILED, **_owner(organization_id)).values_list(
            "error_code", "provider", "model"
        )
        counts = failed.annotate(count=Count("id")).order_by("-count")[:SHOWN]
        return [(code, f"{provider}/{model}", count) for code, provider, model, count in counts]


def _owner(organization_id: int | None) -> dict[str, int]:
    return {} if organization_id is None else {"organization_id": organization_id}

"""The queue's figures. None of them reads the raw rows of ended requests."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, Min, Sum
from django.utils import timezone
from redis.exceptions import RedisError

from queue_app.models import AIRequest, Priority, QueueMinute, QueuePolicy, QueueTotal, Status
from queue_app.ordering.provider_limits import calling, waiting_for_limits
from queue_app.processing.heartbeat import WorkerBeat, workers
from queue_app.stats.outcome_counts import Outcomes, uncounted_by_priority

RATE_WINDOW = timedelta(minutes=15)


@dataclass
class LaneStats(Outcomes):
    """One priority: pending requests, and what ended within the rate window."""

    pending: int = 0
    oldest_at: datetime | None = None

    @property
    def average_wait_ms(self) -> float | None:
        """Acceptance to first claim. None if nothing that started has ended."""
        return self.wait_ms / self.started if self.started else None

    @property
    def average_run_ms(self) -> float | None:
        """First claim to end. None if nothing that started has ended."""
        return self.run_ms / self.started if self.started else None

    @property
    def throughput_per_minute(self) -> float:
        """Ended requests per minute."""
        return (self.completed + self.failed) / (RATE_WINDOW.total_seconds() / 60)

    @property
    def error_rate(self) -> float | None:
        """Percent of the ended requests that failed. None if nothing ended."""
        ended = self.completed + self.failed
        return 100 * self.failed / ended if ended else None


@dataclass(frozen=True)
class QueueStats:
    """The queue of the organizations in scope: now, recently (15 minutes) and in total."""

    queue_size: int
    processing: int
    total_processed: int
    total_failed: int
    total_cancelled: int
    lanes: dict[Priority, LaneStats]
    held: dict[str, int] = field(default_factory=dict)
    """Pending requests whose next attempt is not due yet, by `provider/model` of that attempt."""
    limited: dict[str, int] = field(default_factory=dict)
    """Requests that wait because their model is at its provider limit."""
    workers: list[WorkerBeat] = field(default_factory=list)

    @property
    def recent(self) -> LaneStats:
        """All priorities together."""
        return _combined(self.lanes.values())

    @property
    def oldest_pending_seconds(self) -> float | None:
        """Age of the longest-waiting request. None if nothing waits."""
        oldest = self.recent.oldest_at
        return (timezone.now() - oldest).total_seconds() if oldest else None


def queue_stats() -> QueueStats:
    """Figures for the organizations in scope: six queries and two Redis reads, whatever the size."""
    uncounted = uncounted_by_priority()
    pending = pending_by_lane()
    lanes = _lanes(pending, uncounted)
    totals = Outcomes(**QueueTotal.objects.aggregate(**{name: Sum(name, default=0) for name in Outcomes.NAMES}))
    for outcomes in uncounted.values():
        totals.merge(outcomes)
    return QueueStats(
        queue_size=sum(lane.pending for lane in lanes.values()),
        processing=AIRequest.objects.filter(status=Status.PROCESSING).count(),
        total_processed=totals.completed,
        total_failed=totals.failed,
        total_cancelled=totals.cancelled,
        lanes=lanes,
        held=held_by_model(),
        limited=limited_of(pending),
        workers=_workers(),
    )


def has_overdue(stats: QueueStats, limit: timedelta) -> bool:
    """Whether a request of the organization in scope could have started longer than `limit` ago, but waits.

    It is not paused, not between two attempts, not beyond the organization's share, and does not wait for a provider
    limit.
    """
    policy = QueuePolicy.objects.first() or QueuePolicy()
    if 0 < policy.max_in_flight <= stats.processing:
        return False
    overdue = AIRequest.objects.filter(status=Status.PENDING, leader_id=None, not_before__lt=timezone.now() - limit)
    return overdue.exclude(priority__in=policy.paused_priorities).exclude(calling(stats.limited)).exists()


def held_by_model() -> dict[str, int]:
    """Pending requests whose next attempt is not due yet, by `provider/model` of that attempt."""
    held: dict[str, int] = {}
    waiting = AIRequest.objects.filter(status=Status.PENDING, not_before__gt=timezone.now())
    for provider, model, next_model, count in waiting.values_list("provider", "model", "next_model").annotate(
        Count("id")
    ):
        name = next_model or f"{provider}/{model}"
        held[name] = held.get(name, 0) + count
    return held


def limited_of(pending: Iterable[tuple[int, int, int, datetime]] | None = None) -> dict[str, int]:
    """Ready requests that wait because their model is at its provider limit. Empty if Redis does not respond."""
    rows = pending_by_lane() if pending is None else pending
    try:
        return waiting_for_limits({organization_id for organization_id, *_ in rows})
    except RedisError:
        return {}


def pending_by_lane() -> list[tuple[int, int, int, datetime]]:
    """(organization ID, priority, number of requests, when the oldest was accepted)"""
    pending = AIRequest.objects.filter(status=Status.PENDING).values_list("organization_id", "priority")
    return list(pending.annotate(Count("id"), Min("created_at")))


def _lanes(
    pending: Iterable[tuple[int, int, int, datetime]], uncounted: dict[int, Outcomes]
) -> dict[Priority, LaneStats]:
    lanes = {priority: LaneStats() for priority in sorted(Priority, reverse=True)}
    for _organization_id, weight, count, oldest_at in pending:
        lane = lanes[Priority(weight)]
        lane.pending += count
        lane.oldest_at = min(filter(None, [lane.oldest_at, oldest_at]))
    for weight, outcomes in [*_recent(), *uncounted.items()]:
        lanes[Priority(weight)].merge(outcomes)
    return lanes


def _recent() -> list[tuple[int, Outcomes]]:
    """Totals within the rate window, by priority."""
    minutes = QueueMinute.objects.filter(minute__gt=timezone.now() - RATE_WINDOW)
    rows = minutes.values_list("priority").annotate(*[Sum(name) for name in Outcomes.NAMES])
    return [(row[0], Outcomes(*row[1:])) for row in rows]


def _combined(lanes: Iterable[LaneStats]) -> LaneStats:
    total = LaneStats()
    for lane in lanes:
        total.merge(lane)
        total.pending += lane.pending
        total.oldest_at = min(filter(None, [total.oldest_at, lane.oldest_at]), default=None)
    return total


def _workers() -> list[WorkerBeat]:
    try:
        return workers()
    except RedisError:
        return []

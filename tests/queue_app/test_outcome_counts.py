"""Sums of the minutes equal the totals and the ended requests, no matter who counts and how often."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from aiinfra.tenants.models import Organization
from queue_app.models import ENDED, AIRequest, OutcomeCounts, Priority, QueueMinute, QueueTotal, Status
from queue_app.stats import outcome_counts
from queue_app.stats.outcome_counts import Outcomes, count_ended
from queue_app.stats.summary import queue_stats

Submit = Callable[..., AIRequest]
pytestmark = pytest.mark.usefixtures("queue", "scoped")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

ends = st.tuples(
    st.sampled_from(Priority),
    st.sampled_from(ENDED),
    st.none() | st.integers(0, 5_000),
    st.integers(0, 200),
)


def ended(
    organization: Organization,
    priority: Priority = Priority.NORMAL,
    status: Status = Status.COMPLETED,
    waited_ms: int | None = 100,
    at: datetime = NOON,
) -> AIRequest:
    """A request that ended at `at`. If `waited_ms` is set, it was started 500 ms earlier."""
    started_at = None if waited_ms is None else at - timedelta(milliseconds=500)
    accepted_at = at if started_at is None else started_at - timedelta(milliseconds=waited_ms or 0)
    return AIRequest.objects.create(
        organization=organization,
        provider="openai",
        model="gpt-4",
        priority=priority,
        status=status,
        created_at=accepted_at,
        started_at=started_at,
        completed_at=at,
    )


def sums(table: type[OutcomeCounts], **narrowed: object) -> Outcomes:
    return Outcomes(
        **table.objects.filter(**narrowed).aggregate(**{name: Sum(name, default=0) for name in Outcomes.NAMES})
    )


@limits(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(ends, max_size=6), max_size=4))
def test_minutes_and_totals_count_ended_requests(
    organization: Organization, batches: list[list[tuple[Priority, Status, int | None, int]]]
) -> None:
    for table in (AIRequest, QueueMinute, QueueTotal):
        table.objects.all().delete()
    truth: dict[Priority, Outcomes] = {priority: Outcomes() for priority in Priority}
    for batch in batches:
        for priority, status, waited_ms, second in batch:
            at = NOON + timedelta(seconds=second)
            truth[priority].add(ended(organization, priority, status, waited_ms, at))
        assert count_ended() == len(batch)
    assert count_ended() == 0
    for priority in Priority:
        assert sums(QueueTotal, priority=priority) == sums(QueueMinute, priority=priority) == truth[priority]
    assert all(minute.second == 0 for minute in QueueMinute.objects.values_list("minute", flat=True))


def test_waiting_and_running_are_measured_in_milliseconds(organization: Organization) -> None:
    ended(organization, waited_ms=250)
    ended(organization, status=Status.CANCELLED, waited_ms=None)
    count_ended()
    assert sums(QueueTotal) == Outcomes(started=1, completed=1, cancelled=1, wait_ms=250, run_ms=500)


def test_more_than_a_batch_is_counted(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome_counts, "BATCH", 2)
    for _ in range(5):
        ended(organization)
    assert count_ended() == 5
    assert sums(QueueTotal).completed == 5


def test_every_organization_has_its_own_figures(organization: Organization, other_organization: Organization) -> None:
    from aiinfra.tenants.scope import organization_scope

    ended(organization)
    with organization_scope(other_organization.pk):
        ended(other_organization, status=Status.FAILED)
    count_ended()
    assert sums(QueueTotal) == sums(QueueMinute) == Outcomes(started=1, completed=1, wait_ms=100, run_ms=500)


def test_a_crash_while_counting_counts_nothing(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(organization)
    real = outcome_counts._add

    def crash_at_minutes(table: type[OutcomeCounts], *arguments: object) -> None:
        if table is QueueMinute:
            raise RuntimeError("killed")
        real(table, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(outcome_counts, "_add", crash_at_minutes)
        count_ended()
    assert sums(QueueTotal) == Outcomes()
    count_ended()
    assert sums(QueueTotal) == sums(QueueMinute)
    assert sums(QueueTotal).completed == 1


def test_figures_are_the_same_before_and_after_counting(organization: Organization, submit: Submit) -> None:
    submit(priority=Priority.HIGH)
    now = timezone.now()
    ended(organization, at=now)
    ended(organization, status=Status.FAILED, at=now, priority=Priority.LOW)
    ended(organization, status=Status.CANCELLED, at=now)
    before = queue_stats()
    count_ended()
    after = queue_stats()
    assert after == before
    assert (after.queue_size, after.total_processed, after.total_failed, after.total_cancelled) == (1, 1, 1, 1)
    assert (after.recent.error_rate, after.recent.average_wait_ms, after.recent.average_run_ms) == (50, 100, 500)
    assert after.recent.throughput_per_minute == pytest.approx(2 / 15)
    assert after.lanes[Priority.HIGH].pending == 1
    assert after.oldest_pending_seconds is not None


def test_an_empty_queue_has_no_averages() -> None:
    stats = queue_stats()
    assert (stats.queue_size, stats.processing, stats.oldest_pending_seconds, stats.workers) == (0, 0, None, [])
    recent = stats.recent
    assert (recent.average_wait_ms, recent.average_run_ms, recent.error_rate) == (None, None, None)
    assert recent.throughput_per_minute == 0


def test_old_requests_count_only_in_the_totals(organization: Organization) -> None:
    ended(organization, at=timezone.now() - timedelta(hours=1))
    count_ended()
    stats = queue_stats()
    assert (stats.total_processed, stats.recent.completed) == (1, 0)


def test_figures_cost_the_same_queries_with_1_and_with_20_rows(organization: Organization, submit: Submit) -> None:
    from django.test.utils import CaptureQueriesContext

    numbers = []
    for rows in (1, 20):
        for _ in range(rows):
            ended(organization, at=timezone.now())
        count_ended()
        with CaptureQueriesContext(connection) as queries:
            queue_stats()
        numbers.append(len(queries))
    assert numbers[0] == numbers[1] <= 6

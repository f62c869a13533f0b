"""Statistics of all queues read pending and running requests and the latest minutes, never the history."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app import create_cost_optimizer
from cost_app.facade import AlertKind
from queue_app.models import AIRequest, Priority, QueueMinute, QueuePolicy, Status
from queue_app.stats.pressure import aggregate, pressures, recent_failures, waiting_by_provider, waiting_models

NOW = timezone.now()
Statement = tuple[str, Any]
SCANS = ("SCAN queue_app_airequest\n", "SCAN cost_app_alert\n", "Seq Scan on queue_app_", "Seq Scan on cost_app_")


@pytest.fixture
def make(organization: Organization) -> Callable[..., AIRequest]:
    """Creates a request that has been pending for a minute. Arguments are its columns."""

    def request(**columns: object) -> AIRequest:
        at = NOW - timedelta(minutes=1)
        defaults = {"organization": organization, "provider": "openai", "model": "gpt-4", "created_at": at}
        with system_scope():
            return AIRequest.objects.create(**{**defaults, "not_before": at, **columns})

    return request


@contextmanager
def statements() -> Iterator[list[Statement]]:
    """The SQL statements sent in the block, with their parameters."""
    found: list[Statement] = []

    def record(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        found.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        yield found


def plan_of(statement: Statement) -> str:
    """PostgreSQL would scan a small table, so sequential scans are turned off."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {statement[0]}", statement[1])
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement[0]}", statement[1])
        return "".join(f"{row[-1]}\n" for row in cursor.fetchall())


def test_figures_never_scan_requests_or_alerts(make: Callable[..., AIRequest], organization: Organization) -> None:
    make()
    with system_scope():
        QueuePolicy.objects.create(organization=organization, max_in_flight=1)
    with statements() as sent:
        pressures(NOW)
        waiting_by_provider(["openai"])
        waiting_models(None)
        waiting_models(organization.pk)
        recent_failures(None, NOW)
        recent_failures(organization.pk, NOW)
        create_cost_optimizer().owners_of_live_alerts([AlertKind.ERROR_RATE])
    plans = [plan_of(each) for each in sent]
    assert len(plans) == 10
    assert [plan for plan in plans if any(scan in plan for scan in SCANS)] == []


def test_waiting_and_ready_are_counted_by_organization(
    make: Callable[..., AIRequest], organization: Organization, other_organization: Organization
) -> None:
    make()
    make(priority=Priority.LOW)
    make(not_before=NOW + timedelta(minutes=1))
    make(organization=other_organization, not_before=NOW - timedelta(minutes=3))
    make(status=Status.COMPLETED, completed_at=NOW)
    with system_scope():
        QueuePolicy.objects.create(organization=organization, paused_priorities=[Priority.LOW])
        for minutes, counts in ((0, {"completed": 3, "failed": 1}), (2, {"failed": 4}), (5, {"failed": 100})):
            at = (NOW - timedelta(minutes=minutes)).replace(second=0, microsecond=0)
            QueueMinute.objects.create(organization=organization, minute=at, priority=Priority.HIGH, **counts)
    found = pressures(NOW)
    ours, theirs = found[organization.pk], found[other_organization.pk]
    assert (ours.waiting, ours.ready, ours.longest_wait_s(NOW)) == (3, 1, 60)
    assert (ours.ended, ours.error_percent) == (8, 62.5)
    assert (theirs.waiting, theirs.ready, theirs.longest_wait_s(NOW), theirs.error_percent) == (1, 1, 180, 0)
    total = aggregate(found.values())
    assert (total.waiting, total.ready, total.longest_wait_s(NOW), total.failed) == (4, 2, 180, 5)
    assert aggregate([]).longest_wait_s(NOW) == 0

"""Tickets, waking workers, and the scheduler's jobs."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings
from redis.exceptions import ConnectionError as RedisConnectionError
from rq.serializers import JSONSerializer

from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from queue_app import control, tasks
from queue_app.caching import rechecks
from queue_app.models import AIRequest, Priority, Status
from queue_app.ordering import index, tickets
from queue_app.processing import in_flight
from queue_app.scheduler import Job, deferred, next_turn
from queue_app.stats import depth_history
from tests.queue_app.conftest import ScriptedProvider
from tests.support.costs import counted_costs
from tests.support.processes import free_port

Submit = Callable[..., AIRequest]
pytestmark = pytest.mark.usefixtures("queue", "scoped")


@pytest.fixture(autouse=True)
def _keep_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)


def statuses() -> list[str]:
    return sorted(AIRequest.objects.values_list("status", flat=True))


def test_one_ticket_processes_until_the_queue_is_empty(submit: Submit, provider: ScriptedProvider) -> None:
    for _ in range(3):
        submit()
    tasks.run_next()
    assert statuses() == ["completed"] * 3


def test_a_stopping_worker_claims_nothing(submit: Submit, provider: ScriptedProvider) -> None:
    for _ in range(2):
        submit()
    answer = provider.script[0]
    provider.script = [lambda _attempt: (in_flight.stopping.set(), answer)[1]]  # type: ignore[list-item]
    try:
        tasks.run_next()
    finally:
        in_flight.stopping.clear()
    assert statuses() == ["completed", "pending"]


def test_a_crashing_request_fails_without_failing_the_ticket(submit: Submit, provider: ScriptedProvider) -> None:
    answer = provider.script[0]
    provider.script = [MemoryError("poison"), answer]
    first = submit()
    submit()
    tasks.run_next()
    assert statuses() == ["completed", "failed"]
    broken = AIRequest.objects.get(id=first.id)
    assert (broken.status, broken.error_code, broken.crashes) == (Status.FAILED, "INTERNAL_ERROR", 0)
    assert in_flight.running_count() == 0


def test_a_ticket_ends_quietly_without_redis(submit: Submit, settings: Settings) -> None:
    submit()
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    tasks.run_next()
    assert statuses() == ["pending"]


def test_a_ticket_is_pushed_per_ready_request(submit: Submit) -> None:
    for _ in range(3):
        submit()
    tickets.ticket_queue().empty()
    tickets.wake_for_ready()
    assert tickets.ticket_queue().count == 3
    tickets.wake_for_ready()
    assert tickets.ticket_queue().count == 3


def test_blocked_requests_wake_no_worker(submit: Submit, organization: Organization) -> None:
    submit()
    control.pause(organization.pk, None, actor="user:x")
    tickets.ticket_queue().empty()
    tickets.wake_for_ready()
    assert tickets.ticket_queue().count == 0
    control.resume(organization.pk, None, actor="user:x")
    assert tickets.ticket_queue().count == 1


def test_a_due_retry_wakes_a_worker(submit: Submit) -> None:
    request = submit()
    index.remove(request)
    request.not_before = timezone.now() + timedelta(hours=1)
    index.admit([request])
    tickets.ticket_queue().empty()
    tickets.wake_for_ready()
    assert tickets.ticket_queue().count == 0
    redis_client().zadd(index.PREFIX + "delayed", dict.fromkeys(redis_client().zrange("{aiq}:delayed", 0, -1), 1))
    tickets.wake_for_ready()
    assert tickets.ticket_queue().count == 1


def test_request_wakes_a_worker_while_the_scheduler_checks_less_often(submit: Submit) -> None:
    assert not tickets.wake_for_ready()
    submit()
    assert tickets.ticket_queue().count == 1
    assert tickets.wake_for_ready()


def test_checking_an_empty_queue_takes_one_redis_command(submit: Submit) -> None:
    with counted_costs() as costs:
        tickets.wake_for_ready()
    assert costs.counts == (0, 0, 1)
    assert index.is_drained()
    submit()
    assert not index.is_drained()


def test_scheduler_keeps_checking_while_requests_wait_for_a_limit(submit: Submit) -> None:
    submit()
    index.run("set_limits", ["deepseek/deepseek-chat", 1])
    submit()
    assert index.claim()
    assert index.claim() is None
    assert redis_client().zcard(index.PREFIX + "heads") == 0
    assert not index.is_drained()


def test_a_ticket_is_json_and_names_no_request(submit: Submit) -> None:
    request = submit()
    [job] = tickets.ticket_queue().jobs
    assert (job.func_name, list(job.args), job.kwargs) == (tickets.TICKET, [], {})
    assert job.serializer is JSONSerializer, "pickle would run code that others write to Redis"
    assert str(request.id) not in str(job.to_dict())


def test_a_job_runs_when_it_is_due() -> None:
    runs: list[int] = []
    job = Job(every_s=3600, run=lambda: runs.append(1))
    job.run_if_due()
    job.run_if_due()
    assert len(runs) == 1
    job.due = 0
    job.run_if_due()
    assert len(runs) == 2


@pytest.mark.parametrize(("now", "due"), [(0.0, 5.0), (4.9, 5.0), (5.0, 10.0), (7.3, 10.0)])
def test_jobs_with_the_same_interval_run_at_the_same_times(now: float, due: float) -> None:
    assert next_turn(now, every_s=5) == due


def test_deferred_job_does_not_run_at_startup() -> None:
    runs: list[int] = []
    (job,) = deferred([(3600, lambda: runs.append(1))])
    job.run_if_due()
    assert (runs, job.every_s) == ([], 3600)
    assert job.due > time.monotonic() + 1800


@pytest.mark.parametrize(
    ("error", "level"), [(RedisConnectionError("away"), logging.INFO), (RuntimeError("bug"), logging.ERROR)]
)
def test_a_failing_job_is_logged_and_runs_again(
    error: Exception, level: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queue_app.scheduler.connections.close_all", lambda: None)

    def fail() -> None:
        raise error

    job = Job(every_s=3600, run=fail)
    with caplog.at_level(logging.INFO):
        job.run_if_due()
    assert [record.levelno for record in caplog.records if record.name == "queue_app.scheduler"] == [level]
    assert job.due > 0


def test_depths_are_sampled_in_total_and_per_organization_until_the_queue_is_empty(
    submit: Submit, organization: Organization
) -> None:
    request = submit(priority=Priority.HIGH)
    depth_history.sample_depths()
    index.remove(request)
    depth_history.sample_depths()
    depth_history.sample_depths()
    mine = [sample.depth[Priority.HIGH] for sample in depth_history.depth_samples(organization.pk)]
    everyone = [sample.depth[Priority.HIGH] for sample in depth_history.depth_samples(None)]
    assert (mine, everyone) == ([1, 0], [1, 0, 0])


def test_an_incomparable_hit_is_given_up_without_blocking_others(monkeypatch: pytest.MonkeyPatch) -> None:
    hits = [SimpleNamespace(organization_id=1, id=number, pk=number) for number in (1, 2)]
    compared: list[int] = []
    given_up: list[int] = []

    def compare(hit: SimpleNamespace) -> None:
        if hit.id == 1:
            raise ValueError
        compared.append(hit.id)

    monkeypatch.setattr(rechecks.cache, "uncompared", lambda _limit: hits)
    monkeypatch.setattr(rechecks.cache, "give_up", lambda **names: given_up.append(names["hit_id"]))
    monkeypatch.setattr(rechecks, "_compare_in_scope", compare)
    rechecks.compare_answers()
    assert (compared, given_up) == ([2], [1])


@pytest.mark.django_db(transaction=True)
def test_lane_returns_its_pooled_connection_between_jobs() -> None:
    """There are more lanes than connections in the pool; otherwise, late lanes would wait forever."""
    seen: list[bool] = []
    Job(1, lambda: seen.append(Organization.objects.exists())).run_if_due()
    assert seen == [True]
    assert (connection.connection is None) == (connection.vendor == "postgresql")

"""While the database rejects writes, outcomes are kept and workers keep their leases."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra import database_time
from cost_app.models import LedgerEntry
from queue_app.models import AIRequest, Status
from queue_app.ordering.claims import Claim
from queue_app.processing import in_flight, outcomes, provider_call
from queue_app.processing.provider_call import process
from queue_app.repair.index_repair import IndexRepair
from queue_app.scheduler import lanes
from tests.queue_app.conftest import ScriptedProvider

Claimed = Callable[..., Claim]
pytestmark = pytest.mark.usefixtures("queue", "scoped")


@contextmanager
def no_writes() -> Iterator[None]:
    """The database answers reads and rejects updates."""

    def refuse(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise OperationalError("database or disk is full")
        return execute(sql, *arguments)

    with connection.execute_wrapper(refuse):
        yield


@pytest.fixture
def failing_writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Storing an outcome fails; the list holds the number of failures that remain."""
    failures = [20]
    complete = outcomes.complete

    def refuse(*arguments: Any) -> bool:
        if failures[0]:
            failures[0] -= 1
            raise OperationalError("database or disk is full")
        return complete(*arguments)

    monkeypatch.setattr(outcomes, "complete", refuse)
    monkeypatch.setattr(provider_call, "WRITE_PAUSE_S", 0)
    monkeypatch.setattr(provider_call.connections, "close_all", lambda: None)
    return failures


@pytest.mark.usefixtures("failing_writes")
def test_an_answer_is_kept_until_it_can_be_stored(claimed: Claimed, provider: ScriptedProvider) -> None:
    process(claimed())
    assert AIRequest.objects.get().status == Status.COMPLETED
    assert (len(provider.calls), LedgerEntry.objects.count()) == (1, 1)


@pytest.mark.usefixtures("provider")
def test_stopping_worker_gives_up_storing_the_outcome(
    claimed: Claimed, failing_writes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_call, "OUTCOME_KEPT_STOPPING_S", 0)
    claim = claimed()
    in_flight.stopping.set()
    try:
        with pytest.raises(OperationalError):
            process(claim)
    finally:
        in_flight.stopping.clear()
    assert failing_writes == [19]


def test_the_lease_of_a_kept_answer_is_renewed(claimed: Claimed, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claimed()
    monkeypatch.setattr(in_flight, "OVERTIME_S", -3600)
    with in_flight.track(claim):
        assert in_flight.leased_attempts() == []
        monkeypatch.undo()
        in_flight.prolong(claim)
        assert in_flight.leased_attempts() == [(claim.request.id, claim.attempt_number)]
    in_flight.prolong(claim)
    assert in_flight.leased_attempts() == []


def test_workers_can_renew_their_leases_first_after_an_outage(claimed: Claimed, settings: Settings) -> None:
    claim = claimed()
    repair = IndexRepair()
    AIRequest.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    for _ in range(2):
        with pytest.raises(OperationalError), transaction.atomic(), no_writes():
            repair.recover_leases()
    repair.recover_leases()
    assert AIRequest.objects.get(id=claim.request.id).status == Status.PROCESSING
    settings.QUEUE_LEASE_S = 0
    repair.recover_leases()
    assert AIRequest.objects.get(id=claim.request.id).status == Status.PENDING


def test_new_scheduler_lets_workers_renew_first(claimed: Claimed) -> None:
    claim = claimed()
    AIRequest.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    for job in lanes()[0]:
        job.run()
    assert AIRequest.objects.get(id=claim.request.id).status == Status.PROCESSING


def test_lost_worker_is_recovered_after_the_new_schedulers_wait(claimed: Claimed, settings: Settings) -> None:
    claim = claimed()
    settings.QUEUE_LEASE_S = 0
    AIRequest.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    for job in lanes()[0]:
        job.run()
    assert AIRequest.objects.get(id=claim.request.id).status == Status.PENDING


def test_clock_jump_does_not_expire_leases(
    claimed: Claimed, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, repair, now = claimed(), IndexRepair(), database_time.now
    repair.recover_leases()
    monkeypatch.setattr(database_time, "now", lambda: now() + timedelta(hours=1))
    for _ in range(2):
        repair.recover_leases()
    assert AIRequest.objects.get(id=claim.request.id).status == Status.PROCESSING
    settings.QUEUE_LEASE_S = 0
    repair.recover_leases()
    assert AIRequest.objects.get(id=claim.request.id).status == Status.PENDING

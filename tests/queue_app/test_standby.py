"""Standby threads are woken without a ticket."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from redis.client import Pipeline

from aiinfra.redis import redis_client
from queue_app import tasks
from queue_app.models import AIRequest
from queue_app.ordering import standby, tickets
from queue_app.processing import in_flight
from tests.queue_app.conftest import ScriptedProvider
from tests.support.processes import wait_until

Submit = Callable[..., AIRequest]
StandBy = Callable[[str], threading.Thread]
pytestmark = pytest.mark.usefixtures("queue", "scoped")


@pytest.fixture
def stand_by() -> Iterator[StandBy]:
    """Starts a standby thread, which adds its name to `woken` when it is woken."""
    threads: list[threading.Thread] = []
    is_over = threading.Event()

    def wait(name: str, woken: list[str]) -> None:
        while not is_over.is_set() and not standby.stand_by(name):
            pass
        woken.append(name)

    def begin(name: str) -> threading.Thread:
        standing = redis_client().llen(standby.STANDBY)
        threads.append(threading.Thread(target=wait, args=(name, woken)))
        threads[-1].start()
        wait_until(lambda: redis_client().llen(standby.STANDBY) > standing, "the thread to stand by")
        return threads[-1]

    woken: list[str] = []
    yield begin
    is_over.set()
    for thread in threads:
        thread.join()


def test_accepted_request_wakes_a_standby_thread_instead_of_pushing_a_ticket(submit: Submit, stand_by: StandBy) -> None:
    thread = stand_by("worker")
    submit()
    thread.join()
    assert tickets.ticket_queue().count == 0


def test_second_request_pushes_a_ticket_when_one_thread_stands_by(submit: Submit, stand_by: StandBy) -> None:
    thread = stand_by("worker")
    submit()
    submit()
    thread.join()
    assert tickets.ticket_queue().count == 1


def test_nothing_is_left_in_redis_after_an_unused_standby() -> None:
    assert not standby.stand_by("worker")
    assert redis_client().keys("{aiq}:*") == []


def test_thread_woken_while_it_gives_up_looks_for_work(monkeypatch: pytest.MonkeyPatch) -> None:
    give_up = Pipeline.lrem

    def woken_first(pipeline: Pipeline, *arguments: object) -> object:
        tickets.push_ticket()
        return give_up(pipeline, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Pipeline, "lrem", woken_first)
    assert standby.stand_by("worker")
    assert redis_client().keys("{aiq}:*") == []
    assert tickets.ticket_queue().count == 0


def test_request_that_woke_a_killed_thread_gets_a_ticket_from_the_scheduler(submit: Submit) -> None:
    redis_client().lpush(standby.STANDBY, "killed:1")
    submit()
    assert tickets.ticket_queue().count == 0
    tickets.wake_for_ready()
    assert tickets.ticket_queue().count == 1


def test_standby_uses_at_most_half_of_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = threading.BoundedSemaphore(1)
    taken.acquire()
    monkeypatch.setattr(standby, "_places", taken)
    assert not standby.stand_by("worker")


def test_ticket_ends_when_its_thread_is_not_woken(
    submit: Submit, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests with a pause between them need one ticket."""
    wakes = iter([True, False])

    def woken(worker: str) -> bool:
        assert worker == "rq-worker"
        return next(wakes) and bool(submit())

    monkeypatch.setattr(tasks, "close_old_connections", lambda: None)
    monkeypatch.setattr(tasks, "get_current_job", lambda: SimpleNamespace(worker_name="rq-worker"))
    monkeypatch.setattr(tasks, "stand_by", woken)
    submit()
    tasks.run_next()
    assert set(AIRequest.objects.values_list("status", flat=True)) == {"completed"}
    assert (AIRequest.objects.count(), in_flight.running_count()) == (2, 0)

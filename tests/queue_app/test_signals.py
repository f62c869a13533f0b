"""Signals can arrive at any time, even while the main thread holds a lock that the handler needs."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from aiinfra.redis import bytes_client
from aiinfra.stopping import StopFlag
from queue_app import scheduler
from queue_app.processing import in_flight
from queue_app.processing.worker import STOP_SIGNALS, Pool, PoolWorker
from queue_app.scheduler import Job

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def _restore_signal_handlers() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    in_flight.stopping.clear()


@contextmanager
def every_lock_of(thing: object) -> Iterator[None]:
    """Hold every lock that a thread waiting for this object may hold."""
    with ExitStack() as held:
        for part in vars(thing).values():
            if hasattr(part, "acquire"):
                held.enter_context(part)
        yield


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_worker_handles_a_signal_inside_a_lock(redis_url: str, number: signal.Signals) -> None:
    worker = PoolWorker(["llm"], connection=bytes_client())
    worker._install_signal_handlers()
    with every_lock_of(in_flight.stopping):
        signal.raise_signal(number)
    assert in_flight.stopping.is_set()


@pytest.mark.usefixtures("redis_url")
@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_the_scheduler_handles_a_signal_inside_a_lock(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    stopped: list[bool] = []

    def run(_jobs: Sequence[Job], stopping: StopFlag, _sleep: object) -> None:
        if threading.current_thread() is threading.main_thread():
            with every_lock_of(stopping):
                signal.raise_signal(number)
            stopped.append(stopping.is_set())

    monkeypatch.setattr(scheduler, "_run", run)
    scheduler.run_scheduler()
    assert stopped == [True]


@pytest.mark.usefixtures("redis_url", "db")
def test_scheduler_lane_ends_after_a_signal() -> None:
    stopping, done = StopFlag(), []

    def job() -> None:
        done.append(1)
        stopping.set()

    scheduler._run([Job(1, job)], stopping, lambda _: None)
    assert done == [1]


@pytest.mark.usefixtures("redis_url")
@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_parent_forwards_a_signal_received_inside_its_log_lock(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    pool = Pool(["llm"], connection=bytes_client(), num_workers=1)
    stopped_workers: list[object] = []
    monkeypatch.setattr(pool, "stop_worker", stopped_workers.append)
    monkeypatch.setattr(pool, "worker_dict", {"one": "the worker"})
    monkeypatch.setattr(pool, "log", None)
    pool._install_signal_handlers()
    signal.raise_signal(number)
    assert (stopped_workers, pool.status) == (["the worker"], Pool.Status.STOPPED)


def test_a_stop_flag_is_set_and_cleared() -> None:
    flag = StopFlag()
    assert not flag.is_set()
    flag.set()
    assert flag.is_set()
    flag.clear()
    assert not flag.is_set()

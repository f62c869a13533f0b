"""The worker, and the undocumented parts of RQ that it depends on."""

import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rq
from django.db import connection
from pytest_django.fixtures import Settings
from redis import Redis, RedisError
from rq import Queue, SimpleWorker, Worker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker_pool import WorkerPool

from aiinfra.redis import bytes_client, redis_client
from queue_app.ordering import tickets
from queue_app.processing import heartbeat, in_flight
from queue_app.processing import worker as worker_module
from queue_app.processing.heartbeat import Heartbeat
from queue_app.processing.worker import STOP_SIGNALS, Pool, PoolWorker
from tests.conftest import redis_binary
from tests.support.processes import START_LIMIT_S, free_port, start, wait_until

Work = Callable[[], PoolWorker]


@pytest.fixture(autouse=True)
def _short_intervals(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    monkeypatch.setattr(worker_module, "REDIS_PAUSE_S", 0.02)
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.02)
    monkeypatch.setattr(PoolWorker, "_install_signal_handlers", lambda _worker: None)
    settings.WORKER_THREADS = 2
    tickets.ticket_queue.cache_clear()
    yield
    in_flight.stopping.clear()
    tickets.ticket_queue.cache_clear()


@pytest.fixture
def work() -> Iterator[Work]:
    """Starts a worker in a thread of this process and stops it after the test."""
    threads: list[threading.Thread] = []

    def begin() -> PoolWorker:
        worker = PoolWorker(["llm"], connection=bytes_client(), serializer=JSONSerializer)
        threads.append(threading.Thread(target=worker.work))
        threads[-1].start()
        return worker

    yield begin
    in_flight.stopping.set()
    for thread in threads:
        thread.join()


class Tickets:
    """Stands in for running tickets: each waits until the test lets it end."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.may_end = threading.Event()

    def run(self, _worker: PoolWorker, job: Job, _queue: Queue) -> None:
        self.started.append(job.id)
        self.may_end.wait()


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tickets]:
    running = Tickets()
    monkeypatch.setattr(PoolWorker, "_run_ticket", lambda *arguments: running.run(*arguments))
    yield running
    running.may_end.set()


def test_a_worker_without_a_free_slot_fetches_nothing(redis_url: str, work: Work, blocked: Tickets) -> None:
    for _ in range(5):
        tickets.push_ticket()
    work()
    wait_until(lambda: len(blocked.started) == 2, "two tickets to start")
    assert tickets.ticket_queue().count == 3
    blocked.may_end.set()
    wait_until(lambda: len(blocked.started) == 5, "the others to start when slots are free")


def test_a_stopping_worker_finishes_running_calls(redis_url: str, work: Work, blocked: Tickets) -> None:
    for _ in range(3):
        tickets.push_ticket()
    worker = work()
    wait_until(lambda: len(blocked.started) == 2, "two tickets to start")
    worker.request_stop(15, None)
    wait_until(lambda: [beat.stopping for beat in heartbeat.workers()] == [True], "the heartbeat to report the drain")
    blocked.may_end.set()
    wait_until(lambda: not heartbeat.workers(), "the worker to unregister")
    assert (len(blocked.started), tickets.ticket_queue().count) == (2, 1)


def test_a_failing_ticket_frees_its_slot(redis_url: str, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    broken: list[str] = []

    def explode(_worker: PoolWorker, job: Job, _queue: Queue) -> None:
        broken.append(job.id)
        raise RuntimeError

    monkeypatch.setattr(PoolWorker, "_run_ticket", explode)
    for _ in range(6):
        tickets.push_ticket()
    work()
    wait_until(lambda: len(broken) == 6, "all six tickets to run")


def test_worker_starts_without_redis_and_works_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    environment = {
        "AIINFRA_DATA_DIR": str(tmp_path),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'worker.sqlite3'}",
        "REDIS_URL": f"redis://127.0.0.1:{port}/0",
        "WORKER_PROCESSES": "1",
        "WORKER_NICE": "1",
        "LOG_LEVEL": "WARNING",
    }
    redis = Redis(port=port)
    log = tmp_path / "log"
    command = f"exec {sys.executable} manage.py worker 2> {log}"
    with start(["sh", "-c", command], environment) as workers:
        wait_until(
            lambda: log.exists() and "Connection refused" in log.read_text(), "the worker to log the connection error"
        )
        with start([redis_binary(), "--port", str(port), "--dir", str(tmp_path), "--save", ""]):
            wait_until(lambda: _answers(redis) and redis.hlen(heartbeat.WORKERS_KEY), "the worker to report")
            assert redis.scard("rq:workers") == 1
            assert os.getpriority(os.PRIO_PROCESS, workers.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 1
            workers.terminate()
            assert workers.wait(START_LIMIT_S) == 0
            assert redis.scard("rq:workers") == redis.hlen(heartbeat.WORKERS_KEY) == 0


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False


def test_rq_registers_the_worker_until_it_ends(redis_url: str, work: Work) -> None:
    worker = work()
    wait_until(lambda: Worker.count(connection=bytes_client()) == 1, "RQ to list the worker")
    assert [known.name for known in Worker.all(connection=bytes_client())] == [worker.name]
    in_flight.stopping.set()
    wait_until(lambda: Worker.count(connection=bytes_client()) == 0, "the worker to unregister")


def test_a_worker_registers_again_in_an_emptied_redis(
    redis_url: str, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "RQ_HEARTBEAT_EVERY_S", 0)
    worker = work()
    wait_until(lambda: Worker.count(connection=bytes_client()) == 1, "RQ to list the worker")
    redis_client().flushall()
    wait_until(lambda: Worker.count(connection=bytes_client()) == 1, "the worker to register again")
    wait_until(lambda: [beat.name for beat in heartbeat.workers()] == [worker.name], "the heartbeat")


def test_a_heartbeat_reports_the_workers_state(redis_url: str, work: Work) -> None:
    worker = work()
    wait_until(heartbeat.workers, "a heartbeat")
    [beat] = heartbeat.workers()
    assert (beat.name, beat.slots, beat.busy, beat.stopping) == (worker.name, 2, 0, False)
    assert beat.memory_bytes > 1_000_000
    assert beat.started_at < beat.at


def test_leases_are_renewed_despite_other_failures(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This thread renews the leases of all slots."""
    renewals: list[int] = []

    def fail(*_: object) -> None:
        raise RuntimeError("unforeseen")

    def renew_badly(_held: object) -> None:
        renewals.append(1)
        fail()

    monkeypatch.setattr(heartbeat, "renew", renew_badly)
    beat = Heartbeat(PoolWorker(["llm"], connection=bytes_client(), serializer=JSONSerializer))
    with beat:
        monkeypatch.setattr(beat, "_beat", fail)
        wait_until(lambda: len(renewals) >= 3, "the third renewal")


@pytest.mark.django_db(transaction=True)
def test_the_heartbeat_leaves_its_connection_to_the_slots(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)  # as with a connection pool
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.02)
    monkeypatch.setattr(heartbeat, "renew", lambda _attempts: connection.ensure_connection())
    beat = Heartbeat(PoolWorker(["llm"], connection=bytes_client(), serializer=JSONSerializer))
    kept: list[object] = []
    with beat:
        monkeypatch.setattr(beat, "_report", lambda: kept.append(connection.connection))
        wait_until(lambda: kept, "a heartbeat")
    assert kept[0] is None


def test_an_orphaned_worker_drains(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Heartbeat(PoolWorker(["llm"], connection=bytes_client(), serializer=JSONSerializer)):
        monkeypatch.setattr(heartbeat.os, "getppid", lambda: -1)
        wait_until(in_flight.stopping.is_set, "the worker to notice that its parent is gone")


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (WorkerPool, "request_stop", ["self", "signum", "frame"]),
        (WorkerPool, "stop_worker", ["self", "worker_data", "sig"]),
        (SimpleWorker, "_install_signal_handlers", ["self"]),
        (SimpleWorker, "request_stop", ["self", "signum", "frame"]),
        (SimpleWorker, "work", None),
        (SimpleWorker, "prepare_execution", ["self", "job"]),
        (SimpleWorker, "perform_job", ["self", "job", "queue", "execution"]),
        (SimpleWorker, "register_birth", ["self"]),
        (SimpleWorker, "register_death", ["self"]),
        (SimpleWorker, "heartbeat", ["self", "timeout", "pipeline"]),
        (SimpleWorker, "maintain_heartbeats", ["self", "job", "execution"]),
        (WorkerPool, "start", None),
    ],
)
def test_rq_still_has_the_internals_that_the_worker_uses(owner: type, name: str, parameters: list[str] | None) -> None:
    """RQ is pinned; a failure shows what to review when the version changes."""
    found = inspect.getattr_static(owner, name)
    assert callable(found)
    if parameters is not None:
        assert list(inspect.signature(found).parameters) == parameters


def test_rq_still_fetches_and_times_out_as_the_worker_expects(redis_url: str) -> None:
    assert rq.__version__ == "3.0.0"
    assert {"queues", "timeout", "connection", "job_class", "serializer", "death_penalty_class"} <= set(
        inspect.signature(Queue.dequeue_any).parameters
    )
    assert isinstance(inspect.getattr_static(SimpleWorker, "connection_timeout"), property)
    worker = PoolWorker(["llm"], connection=bytes_client(), serializer=JSONSerializer)
    assert worker.redis_workers_keys == "rq:workers"
    assert worker.executions == {}
    timeout = bytes_client().connection_pool.connection_kwargs["socket_timeout"]
    assert timeout > worker_module.DEQUEUE_TIMEOUT_S, "every blocking fetch would time out"


def test_an_execution_is_registered_while_its_ticket_runs(redis_url: str) -> None:
    worker = PoolWorker(["llm"], connection=bytes_client(), serializer=JSONSerializer)
    tickets.push_ticket()
    [job] = tickets.ticket_queue().jobs
    execution = worker.prepare_execution(job)
    assert isinstance(execution, Execution)
    assert worker.executions == {execution.id: execution}


class ForkedProcess:
    """A worker process whose parent gets a stop signal while it starts the process."""

    pid = 4711

    def start(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """A pool without real processes. `stopped_workers` lists the workers that were asked to stop."""
    pool = Pool(["llm"], connection=bytes_client(), num_workers=1)
    monkeypatch.setattr(pool, "get_worker_process", lambda *_args, **_options: ForkedProcess())
    monkeypatch.setattr(pool, "stopped_workers", stopped_workers := [], raising=False)
    monkeypatch.setattr(pool, "stop_worker", lambda worker: stopped_workers.append(worker.pid))
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    pool._install_signal_handlers()
    yield pool
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("redis_url")
def test_a_stop_during_a_start_reaches_the_new_worker(pool: Pool) -> None:
    pool.start_worker()
    # Another test thread may receive the signal; the handler runs in this thread a moment later.
    wait_until(lambda: set(pool.stopped_workers) == {ForkedProcess.pid}, "the new worker to be stopped")  # type: ignore[attr-defined]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & set(STOP_SIGNALS)


@pytest.mark.usefixtures("redis_url")
def test_a_worker_started_after_the_stop_is_stopped(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ForkedProcess, "start", lambda _process: None)
    pool.request_stop()
    pool.start_worker()
    assert pool.stopped_workers == [ForkedProcess.pid]  # type: ignore[attr-defined]

"""The RQ worker: one process with several threads, for calls that mostly wait.

RQ ships no threaded worker. This one takes a slot before it takes a ticket (it never fetches what cannot start),
listens on only one queue (RQ's fetch is reliable only then), uses no signals for timeouts (they do not work in threads;
the HTTP client has its own), and on SIGTERM finishes what it has and takes nothing new.
"""

import contextlib
import gc
import importlib
import logging
import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import FrameType
from typing import Any

from django.conf import settings
from django.db import connections
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import DequeueTimeout
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.worker_pool import WorkerData, WorkerPool

from aiinfra.redis import bytes_client
from aiinfra.tracing import spans
from queue_app.processing import in_flight
from queue_app.processing.heartbeat import Heartbeat
from queue_app.tasks import run_next

logger = logging.getLogger(__name__)

DEQUEUE_TIMEOUT_S = 1
REDIS_PAUSE_S = 1.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class NoDeathPenalty(BaseDeathPenalty):
    """RQ's hook for time limits on jobs; tickets have none."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Accept RQ's arguments."""

    def __enter__(self) -> None:
        """Nothing to arm."""

    def __exit__(self, *_: object) -> None:
        """Nothing to disarm."""


class Ticket(Job):
    """A job that runs the ticket, whatever function, arguments or callbacks Redis names: none of them is imported."""

    success_callback = failure_callback = stopped_callback = None

    def _execute(self) -> None:
        run_next()


class PoolWorker(SimpleWorker):
    """Runs up to `settings.WORKER_THREADS` tickets at once."""

    death_penalty_class = NoDeathPenalty

    @property
    def connection_timeout(self) -> int:
        """Seconds after which a hung Redis connection is dropped; longer than the blocking fetch."""
        return DEQUEUE_TIMEOUT_S + 2

    def work(self, *_: Any, **__: Any) -> bool:
        """Process tickets until told to stop, then drain. Redis may be down at any time, including at the start."""
        self._install_signal_handlers()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        self._slots = threading.Semaphore(settings.WORKER_THREADS)
        with Heartbeat(self), ThreadPoolExecutor(settings.WORKER_THREADS, thread_name_prefix="slot") as threads:
            while not in_flight.stopping.is_set():
                self._take_ticket(threads)
        spans.stop()
        return True

    def _take_ticket(self, threads: ThreadPoolExecutor) -> None:
        if not self._slots.acquire(timeout=DEQUEUE_TIMEOUT_S):
            return
        ticket = None if in_flight.stopping.is_set() else self._next_ticket()
        if ticket is None:
            self._slots.release()
            return
        threads.submit(self._run_ticket, *ticket).add_done_callback(self._ticket_ended)

    def _next_ticket(self) -> tuple[Job, Queue] | None:
        try:
            return self.queue_class.dequeue_any(
                self.queues,
                DEQUEUE_TIMEOUT_S,
                connection=self.connection,
                job_class=Ticket,
                serializer=self.serializer,
                death_penalty_class=self.death_penalty_class,
            )
        except DequeueTimeout:
            return None
        except RedisError:
            logger.warning("Redis is down; trying again")
            time.sleep(REDIS_PAUSE_S)
            return None

    def _run_ticket(self, job: Job, queue: Queue) -> None:
        execution = self.prepare_execution(job)
        try:
            self.perform_job(job, queue, execution)
        finally:
            self.executions.pop(execution.id, None)

    def _ticket_ended(self, ticket: "Future[None]") -> None:
        self._slots.release()
        if error := ticket.exception():
            logger.warning("ticket failed", exc_info=error)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is the signal's
        """SIGTERM or SIGINT: finish what is running, take nothing new. Takes no lock; never raises out of a fetch."""
        in_flight.stopping.set()


class Pool(WorkerPool):
    """RQ's pool. A signal that arrives while a worker starts waits until both sides can receive it; RQ loses it."""

    def request_stop(self, signum: int | None = None, frame: FrameType | None = None) -> None:  # noqa: ARG002
        """SIGTERM or SIGINT: forward it to the workers at once. Like RQ's, but without log lines: logging locks."""
        self.status = self.Status.STOPPED
        for worker in list(self.worker_dict.values()):
            self.stop_worker(worker)

    def stop_worker(self, worker_data: WorkerData, sig: signal.Signals = signal.SIGINT) -> None:
        """Ask one worker to stop, if it still exists."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker_data.pid, sig)

    def start_worker(self, *args: Any, **kwargs: Any) -> None:
        """Fork a worker, which unblocks the signals once it handles them."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            super().start_worker(*args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        if self.status == self.Status.STOPPED:
            self.request_stop()


def serve_workers() -> None:
    """Fork `settings.WORKER_PROCESSES` workers and replace those that die, until SIGTERM or SIGINT; then drain.

    With `settings.WORKER_NICE` accepting a request goes before processing another one: what is queued can wait, a
    client does not.
    """
    os.nice(settings.WORKER_NICE)
    for library in client_libraries():
        importlib.import_module(library)
    spans.preload()
    connections.close_all()
    gc.freeze()
    pool = Pool(
        [settings.RQ_TICKET_QUEUE],
        connection=bytes_client(),
        num_workers=settings.WORKER_PROCESSES,
        worker_class=PoolWorker,
        serializer=JSONSerializer,
    )
    pool.start(logging_level="WARNING")


def client_libraries() -> list[str]:
    """What to import once before the fork, so that the workers share the memory.

    Anthropic's library takes 1.3 s of CPU time and 40 MB. Without a key, it is left to the sandbox's first call.
    """
    return ["openai", "anthropic"] if settings.PROVIDER_API_KEYS["anthropic"] else ["openai"]

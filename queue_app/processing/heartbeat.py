"""A worker's heartbeat thread: renews its leases, reports its state, and notices when its parent is gone."""

import json
import logging
import os
import socket
import threading
import time
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

import psutil
from django.conf import settings
from django.db import Error, close_old_connections, connections
from redis.exceptions import RedisError
from rq.worker import BaseWorker

from aiinfra.redis import redis_client
from queue_app.ordering.claims import renew
from queue_app.processing import in_flight

logger = logging.getLogger(__name__)

WORKERS_KEY = "{aiq}:workers"
BEAT_S = 2.0
SILENT_AFTER_S = 10.0
RQ_HEARTBEAT_EVERY_S = 20.0


@dataclass(frozen=True)
class WorkerBeat:
    """A worker's last report. `at` is a Unix time by the clock of Redis, which all hosts share, and `started_at` one by
    the worker's; `memory_bytes` is the resident set size.
    """

    name: str
    host: str
    pid: int
    slots: int
    busy: int
    stopping: bool
    memory_bytes: int
    started_at: float
    at: float


class Heartbeat:
    """Beats from enter to exit, also while the worker drains."""

    def __init__(self, worker: BaseWorker) -> None:
        self._worker = worker
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_ended, name="heartbeat", daemon=True)
        self._parent_pid = os.getppid()
        self._process = psutil.Process()
        self._rq_heartbeat_at = 0.0

    def __enter__(self) -> Self:
        self._report()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            redis_client().hdel(WORKERS_KEY, self._worker.name)
            self._worker.register_death()
        except RedisError:
            logger.info("could not deregister the worker")

    def _beat_until_ended(self) -> None:
        while not self._ended.wait(min(BEAT_S, settings.QUEUE_LEASE_S / 3)):
            if os.getppid() != self._parent_pid:
                in_flight.stopping.set()
            # The connection returns to the pool, for the threads that have work.
            for duty in (self._renew_claims, close_old_connections, self._report):
                try:
                    duty()
                except Exception:
                    # The leases of all slots depend on this thread: it ends with the worker and not before.
                    logger.exception("heartbeat failed")

    def _renew_claims(self) -> None:
        try:
            renew(in_flight.leased_attempts())
        except Error:
            logger.warning("leases not renewed", exc_info=True)
            connections.close_all()

    def _report(self) -> None:
        try:
            if time.monotonic() >= self._rq_heartbeat_at:
                self._send_rq_heartbeat()
                self._rq_heartbeat_at = time.monotonic() + RQ_HEARTBEAT_EVERY_S
            redis_client().hset(WORKERS_KEY, self._worker.name, json.dumps(asdict(self._beat())))
        except RedisError:
            logger.warning("heartbeat not sent")

    def _send_rq_heartbeat(self) -> None:
        """Keep RQ's records of this worker and its tickets alive. Register again if an emptied Redis has only half of
        them.
        """
        connection = self._worker.connection
        if not connection.sismember(self._worker.redis_workers_keys, self._worker.key):
            connection.delete(self._worker.key)
            self._worker.register_birth()
        self._worker.heartbeat()
        for execution in list(self._worker.executions.values()):
            self._worker.maintain_heartbeats(execution.job, execution)

    def _beat(self) -> WorkerBeat:
        return WorkerBeat(
            name=self._worker.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            slots=settings.WORKER_THREADS,
            busy=in_flight.running_count(),
            stopping=in_flight.stopping.is_set(),
            memory_bytes=self._process.memory_info().rss,
            started_at=self._process.create_time(),
            at=redis_client().time()[0],
        )


def workers() -> list[WorkerBeat]:
    """Workers that sent a heartbeat within the last 10 s, by name. Raises RedisError."""
    with redis_client().pipeline(transaction=False) as pipeline:
        pipeline.hvals(WORKERS_KEY)
        pipeline.time()
        texts, (now, _) = pipeline.execute()
    beats = [WorkerBeat(**json.loads(text)) for text in texts]
    return sorted((beat for beat in beats if now - beat.at < SILENT_AFTER_S), key=lambda beat: beat.name)


def remove_silent_workers() -> None:
    """Remove workers that have not sent a heartbeat for a while: they were killed. Raises RedisError."""
    heard = {beat.name for beat in workers()}
    if silent := [name for name in redis_client().hkeys(WORKERS_KEY) if name not in heard]:
        redis_client().hdel(WORKERS_KEY, *silent)

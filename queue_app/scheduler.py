"""The scheduler process, which runs periodic jobs. Several schedulers may run at once."""

import logging
import math
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.db import close_old_connections, connections
from redis.exceptions import RedisError

from aiinfra.database_statistics import EVERY_S as STATISTICS_EVERY_S
from aiinfra.database_statistics import keep_statistics
from aiinfra.idempotency import FORGET_EVERY_S, delete_expired_answers
from aiinfra.live_events import is_anyone_listening
from aiinfra.notifications.tasks import jobs as notification_jobs
from aiinfra.notifications.tasks import webhook_jobs
from aiinfra.scheduled import IfWaiting
from aiinfra.stopping import StopFlag
from aiinfra.tenants.login import resets
from aiinfra.tenants.scope import system_scope
from aiinfra.tenants.security_log import repeats
from aiinfra.tenants.sessions import SessionStore
from aiinfra.tenants.sso.checks import EVERY_S, check_identities
from aiinfra.tracing import spans
from cache_app import create_semantic_cache
from cost_app import create_cost_optimizer
from queue_app.caching.rechecks import compare_answers, queue_rechecks
from queue_app.ordering import tickets
from queue_app.repair.every_second import EverySecond
from queue_app.repair.index_repair import EVERY_S as REPAIR_EVERY_S
from queue_app.repair.index_repair import IndexRepair
from queue_app.repair.retention import cleanup
from queue_app.stats.depth_history import sample_depths
from queue_app.stats.events import publish_queue_figures

logger = logging.getLogger(__name__)
TICK_S = 0.2
EMPTY_TICK_S = 0.5
"""Accepting a request wakes a worker itself, so an empty queue needs fewer checks."""
NOTICE_S = 0.5
"""How long a signal to stop may go unnoticed by the main thread, which then wakes the others."""


@dataclass
class Job:
    """A job that runs at a fixed interval. A failure is logged, and the job runs again at its next turn.

    If `run` returns False, there was nothing to do, and the next turn is after `idle_s` instead. A job that runs only
    if work waits has its own turn once, and then whenever `_checks` finds work.
    """

    every_s: float
    run: Callable[[], object]
    due: float = 0.0
    idle_s: float | None = None

    def run_if_due(self) -> None:
        """Run the job if it is due."""
        now = time.monotonic()
        if now < self.due:
            return
        self.due = math.inf if isinstance(self.run, IfWaiting) else next_turn(now, self.every_s)
        try:
            if self.run() is False and self.idle_s is not None:
                self.due = next_turn(now, self.idle_s)
        except RedisError:
            logger.info("Redis is down", extra={"fields": {"job": self.run.__qualname__}})
        except Exception:
            logger.exception("scheduled job failed", extra={"fields": {"job": self.run.__qualname__}})
            connections.close_all()
        close_old_connections()  # returned to the pool, which has fewer than there are lanes


def next_turn(now: float, every_s: float) -> float:
    """The next multiple of the interval. Jobs thus run in the same moments: waking a thread takes more CPU than a short
    job, and running one after another takes half as much as running each on its own.
    """
    return (now // every_s + 1) * every_s


def clean_up_everywhere() -> None:
    """Apply retention for all organizations."""
    with system_scope():
        cleanup()


Jobs = Sequence[tuple[float, Callable[[], object]]]
"""(interval in seconds, function to run)"""


def deferred(jobs: Jobs) -> list[Job]:
    """Jobs that first run after one interval: what they watch does not exist yet while the product starts."""
    return [Job(every_s, run, time.monotonic() + every_s) for every_s, run in jobs]


def lanes(*further: Jobs) -> list[list[Job]]:
    """All jobs; those of one lane run one after another, and the lanes at the same time. `further` are the jobs of
    higher layers.

    Slow jobs have lanes of their own, because leases run out in seconds.
    """
    repair = IndexRepair()
    repair.outage.suspect()
    queue = [
        Job(TICK_S, tickets.wake_for_ready, idle_s=EMPTY_TICK_S),
        Job(1, EverySecond(repair).run),
        Job(REPAIR_EVERY_S, repair.run),
        Job(5, sample_depths),
        Job(60, tickets.replace_lost_tickets),
        Job(3600, clean_up_everywhere),
    ]
    money = [Job(every_s, run) for every_s, run in create_cost_optimizer().jobs()]
    money.append(Job(1, IfWaiting(is_anyone_listening, publish_queue_figures)))
    slow = [Job(every_s, run) for every_s, run in create_cost_optimizer().slow_jobs()]
    cache = [Job(every_s, run) for every_s, run in create_semantic_cache().jobs()]
    cache += [Job(10, queue_rechecks), Job(10, compare_answers)]
    slow += [Job(every_s, run) for every_s, run in create_semantic_cache().slow_jobs()]
    slow += [Job(FORGET_EVERY_S, delete_expired_answers), Job(repeats.SETTLE_EVERY_S, repeats.settle)]
    slow += [Job(3600, SessionStore.clear_expired), Job(STATISTICS_EVERY_S, keep_statistics)]
    messages = [Job(every_s, run) for every_s, run in notification_jobs()]
    messages += [Job(EVERY_S, check_identities)]
    messages += [Job(resets.EVERY_S, IfWaiting(resets.is_any_due, resets.send_links))]
    webhooks = [Job(every_s, run) for every_s, run in webhook_jobs()]
    return [queue, money, cache, slow, messages, webhooks, *(deferred(jobs) for jobs in further)]


def run_scheduler(*further: Jobs) -> None:
    """Run the jobs of all lanes until SIGTERM or SIGINT. `further` are the jobs of higher layers."""
    first, *others = lanes(*further)
    stopping, pauses = StopFlag(), [Pause() for _ in range(len(others) + 1)]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    others.append(_checks(zip(others, pauses, strict=False)))
    threads = [
        threading.Thread(target=_run, args=(jobs, stopping, pause.wait))
        for jobs, pause in zip(others, pauses, strict=True)
    ]
    for thread in threads:
        thread.start()
    _run(first, stopping, lambda seconds: time.sleep(min(seconds, NOTICE_S)))
    for pause in pauses:
        pause.end()
    for thread in threads:
        thread.join()
    spans.stop()


class Pause:
    """The sleep of one lane, which others can end. An end that comes while the lane is awake ends its next sleep."""

    def __init__(self) -> None:
        self._ended = threading.Event()

    def wait(self, seconds: float) -> None:
        """Sleep for that long, at most."""
        self._ended.wait(min(seconds, threading.TIMEOUT_MAX))
        self._ended.clear()

    def end(self) -> None:
        """Wake the lane."""
        self._ended.set()


def _checks(lanes: Iterable[tuple[list[Job], Pause]]) -> list[Job]:
    """The checks of all jobs that run only if work waits. A check that finds some wakes the lanes of its jobs."""
    jobs_of: dict[tuple[float, Callable[[], bool]], list[tuple[Job, Pause]]] = defaultdict(list)
    for jobs, pause in lanes:
        for job in jobs:
            if isinstance(job.run, IfWaiting):
                jobs_of[job.every_s, job.run.is_waiting].append((job, pause))
    return [Job(every_s, _check(is_waiting, found)) for (every_s, is_waiting), found in jobs_of.items()]


def _check(is_waiting: Callable[[], bool], jobs: list[tuple[Job, Pause]]) -> Callable[[], None]:
    def check() -> None:
        if is_waiting():
            for job, pause in jobs:
                job.due = 0.0
                pause.end()

    check.__qualname__ = is_waiting.__qualname__
    return check


def _run(jobs: Sequence[Job], stopping: StopFlag, sleep: Callable[[float], object]) -> None:
    """Run the jobs when they are due. `sleep` pauses for that many seconds, or less to notice a stop."""
    while not stopping.is_set():
        for job in jobs:
            job.run_if_due()
        sleep(max(min(job.due for job in jobs) - time.monotonic(), 0.0))
    connections.close_all()

"""RQ tickets: each says "look for work" and names no request. The best request is chosen when the ticket runs."""

from functools import cache

import django_rq
from django.conf import settings
from rq import Queue
from rq.worker_registration import clean_worker_registry

from aiinfra.redis import ScriptCall, bytes_client, run_together
from queue_app.ordering import index

TICKET = "queue_app.tasks.run_next"
# A ticket runs until nothing is left to claim, so more tickets than slots would find nothing.
WAITING_MAX = settings.WORKER_PROCESSES * settings.WORKER_THREADS
FAILURE_TTL_S = 3600


def push_ticket() -> None:
    """Wake a worker, unless enough tickets are waiting. Raises RedisError."""
    push_unless_enough(*run_together(waking()))


def waking() -> list[ScriptCall]:
    """Wake a thread that stands by, in a round trip with other scripts. `push_unless_enough` takes both results."""
    return [index.script("wake"), index.script("count_tickets", keys=[ticket_queue().key])]


def waking_if_ready() -> ScriptCall:
    """Wake a thread that stands by if a request could start, in a round trip with other scripts.

    For callers that end a claim without taking another. Without such a thread, `wake_for_ready` is soon enough.
    """
    return index.script("wake", ["ready"])


def push_unless_enough(woken: int, waiting: int) -> None:
    """Push a ticket if `waking` has woken no one and few tickets are waiting. Raises RedisError."""
    if not woken and waiting < WAITING_MAX:
        ticket_queue().enqueue(TICKET, result_ttl=0, failure_ttl=FAILURE_TTL_S, job_timeout=-1)


def wake_for_ready() -> bool:
    """Wake as many workers as there is work for, if no ticket is waiting. Returns False if no request waits.

    Covers retries that have become due, resumed priorities, and tickets that Redis lost. Raises RedisError.
    """
    if index.is_drained():
        return False
    if index.promote() and ticket_queue().count == 0:
        for _ in range(min(index.ready_total(), WAITING_MAX)):
            push_ticket()
    return True


def replace_lost_tickets() -> None:
    """Delete RQ's records of tickets and workers that were killed; tickets after an hour. Raises RedisError."""
    queue = ticket_queue()
    queue.started_job_registry.cleanup()
    queue.failed_job_registry.cleanup()
    clean_worker_registry(queue)


@cache
def ticket_queue() -> Queue:
    """The one RQ queue. With one queue RQ's fetch is reliable; with several, a dying worker loses what it just popped.

    It uses our Redis client, because the one that django-rq creates waits indefinitely for a hung Redis.
    """
    return django_rq.get_queue(settings.RQ_TICKET_QUEUE, connection=bytes_client(), commit_mode="auto")

"""RQ tickets: each says "look for work", none names a request; what is best is decided when the ticket runs."""

from functools import cache

import django_rq
from django.conf import settings
from rq import Queue
from rq.worker_registration import clean_worker_registry

from aiinfra.redis import bytes_client
from queue_app.ordering import index

TICKET = "queue_app.tasks.run_next"
# A ticket works until nothing is left to claim, so that more of them than slots would find nothing.
WAITING_MAX = settings.WORKER_PROCESSES * settings.WORKER_THREADS
FAILURE_TTL_S = 3600


def push_ticket() -> None:
    """Wake a worker, unless enough tickets wait already. Raises RedisError."""
    queue = ticket_queue()
    if queue.count < WAITING_MAX:
        queue.enqueue(TICKET, result_ttl=0, failure_ttl=FAILURE_TTL_S, job_timeout=-1)


def wake_for_ready() -> None:
    """Wake as many workers as there is work for, should no ticket be waiting. Raises RedisError.

    Covers retries that have become due, lanes that were resumed, and tickets that Redis lost.
    """
    if index.promote() and ticket_queue().count == 0:
        for _ in range(min(index.ready_total(), WAITING_MAX)):
            push_ticket()


def forget_lost_tickets() -> None:
    """Drop what RQ noted of tickets and workers that were killed: tickets an hour after. Raises RedisError."""
    queue = ticket_queue()
    queue.started_job_registry.cleanup()
    queue.failed_job_registry.cleanup()
    clean_worker_registry(queue)


@cache
def ticket_queue() -> Queue:
    """The one RQ queue: with one, RQ's fetch is reliable; with several, a dying worker loses what it just popped.

    It has our client, because the one that django-rq makes waits for a hung Redis without end.
    """
    return django_rq.get_queue(settings.RQ_TICKET_QUEUE, connection=bytes_client(), commit_mode="auto")

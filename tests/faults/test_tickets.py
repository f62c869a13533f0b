"""RQ's tickets only wake workers: extra, lost, or stale tickets have no effect."""

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from queue_app.ordering import tickets
from tests.faults.audit import assert_sound
from tests.faults.stack import Stack

TICKET = "queue_app.tasks.run_next"


def test_fifty_extra_tickets_run_nothing_twice(stack: Stack) -> None:
    in_flight, waiting = stack.held_backlog(20)

    tickets = _ticket_queue(stack)
    for _ in range(50):
        tickets.enqueue(TICKET, result_ttl=0, job_timeout=-1)
    stack.release()

    requests = in_flight + waiting
    assert set(assert_sound(stack, requests).values()) == {"completed"}
    assert all(len(stack.attempts(request)) == 1 for request in requests)
    billed = [call["attemptId"] for call in stack.book()]
    assert len(billed) == len(set(billed)), "an attempt was sent twice"


def test_requests_whose_tickets_were_lost_are_processed(stack: Stack) -> None:
    with stack.workers_restarted():
        stack.workers.kill_group()
        requests = [stack.enqueue(f"Question {number}") for number in range(10)]
        assert _ticket_queue(stack).count, "there are no tickets"
        _ticket_queue(stack).empty()
        stack.workers.start()
        assert set(assert_sound(stack, requests).values()) == {"completed"}


@pytest.mark.usefixtures("redis_url")
def test_rq_records_of_a_killed_worker_are_dropped() -> None:
    tickets.push_ticket()
    queue = tickets.ticket_queue()
    worker = SimpleWorker([queue], connection=queue.connection, serializer=JSONSerializer)
    worker.register_birth()
    ticket, _ = worker.dequeue_job_and_maintain_ttl(timeout=None)
    worker.prepare_job_execution(ticket, worker.prepare_execution(ticket))
    (entry,) = queue.connection.zrange(queue.started_job_registry.key, 0, -1)
    queue.connection.zadd(queue.started_job_registry.key, {entry: 1})
    queue.connection.delete(worker.key)
    assert Job.fetch(ticket.id, queue.connection, JSONSerializer).get_status() == "started"
    assert queue.connection.ttl(ticket.key) == -1, "it would have expired on its own"

    tickets.replace_lost_tickets()

    assert queue.connection.zcard(queue.started_job_registry.key) == 0
    assert 0 < queue.connection.ttl(ticket.key) <= tickets.FAILURE_TTL_S
    assert queue.connection.smembers("rq:workers") == set()


def _ticket_queue(stack: Stack) -> Queue:
    return Queue("llm", connection=Redis.from_url(stack.env["REDIS_URL"]), serializer=JSONSerializer)

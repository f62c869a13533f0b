"""The specification's load test, without timing assertions."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from aiinfra.tenants.models import Organization
from queue_app.facade import AIRequestQueue

REQUESTS = 100
AT_ONCE = 20


@pytest.mark.django_db(transaction=True)
def test_100_concurrent_requests_are_all_accepted_and_dequeued(
    queue: AIRequestQueue, organization: Organization
) -> None:
    start = Barrier(AT_ONCE)

    def enqueue(number: int) -> str:
        if number < AT_ONCE:  # the first requests start at the same time
            start.wait(60)
        try:
            messages = [{"role": "user", "content": f"Test {number}"}]
            return queue.enqueue(
                "deepseek", "deepseek-chat", messages, priority="normal", organization_id=organization.slug
            )
        finally:
            connections.close_all()

    with ThreadPoolExecutor(AT_ONCE) as threads:
        ids = list(threads.map(enqueue, range(REQUESTS)))
    assert len(set(ids)) == REQUESTS
    assert queue.get_queue_stats().queue_size == REQUESTS
    taken = {queued.id for _ in range(REQUESTS) if (queued := queue.dequeue())}
    assert taken == set(ids)
    assert queue.dequeue() is None

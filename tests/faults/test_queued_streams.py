"""kill -9 of workers and web servers during streams that waited in the queue."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Semaphore

import httpx2
import pytest

from tests.faults.audit import assert_agreement, assert_sound
from tests.faults.stack import Stack
from tests.faults.test_door_killed import HELD, all_requests, read_stream, restart_and_audit, wait_until_idle
from tests.support.processes import START_LIMIT_S, wait_until

STREAMS = 2
"""One at each of two endpoints."""


@contextmanager
def half_sent_streams(stack: Stack, key: str | None) -> Iterator[tuple[list[Future[bool]], list[str]]]:
    """Streams that waited until their organization was resumed, and whose clients have half of the answer.

    Yields the futures of `read_stream`, and the requests.
    """
    wait_until_idle(stack)
    before = all_requests(stack)
    stack.behave(faults=HELD)
    stack.post({"action": "pause"}).raise_for_status()
    begun = Semaphore(0)
    with ThreadPoolExecutor(STREAMS) as clients:
        waiting = [clients.submit(read_stream, stack, number, key, begun) for number in range(STREAMS)]
        wait_until(lambda: len(all_requests(stack) - before) == STREAMS, "the requests")
        mine = sorted(all_requests(stack) - before)
        assert set(stack.statuses(mine).values()) == {"pending"}
        stack.post({"action": "resume"}).raise_for_status()
        assert all(begun.acquire(timeout=START_LIMIT_S) for _ in range(STREAMS))
        yield waiting, mine


def test_killed_workers_do_not_interrupt_queued_streams(stack: Stack) -> None:
    with half_sent_streams(stack, "unhurt") as (streams, mine):
        stack.workers.kill_group()
        for request in mine:
            send_the_rest(stack, request)
        assert all(stream.result(START_LIMIT_S) for stream in streams)
    assert set(assert_sound(stack, mine).values()) == {"completed"}
    assert [len(stack.attempts(request)) for request in mine] == [1] * STREAMS
    assert not list(stack.redis.scan_iter("{aiq}:turn:*"))


def send_the_rest(stack: Stack, request: str) -> None:
    """Release a request's call after the provider has sent its first half."""
    [attempt] = stack.attempts(request)
    path = f"{stack.sandbox_url}/sandbox/calls/{attempt['id']}/release"
    wait_until(lambda: stack.http.post(path).status_code == 200, "the held answer")


@pytest.mark.parametrize("key", [None, "waited"])
def test_queued_streams_of_a_killed_web_server_are_booked_and_can_be_repeated(stack: Stack, key: str | None) -> None:
    """Clients that repeat them with their idempotency key get the answers at no further cost."""
    with half_sent_streams(stack, key) as (streams, mine):
        stack.web.kill_group()
        assert all(isinstance(stream.exception(START_LIMIT_S), httpx2.HTTPError) for stream in streams)
    restart_and_audit(stack, mine, key)
    assert_agreement(stack)
    if key:
        billed = len(stack.book())
        assert all(read_stream(stack, number, key, Semaphore(0)) for number in range(STREAMS))
        assert len(stack.book()) == billed

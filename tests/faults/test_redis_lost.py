"""Redis dies, loses its data, or hangs, with a backlog and calls in flight."""

import signal
import time

from tests.faults.audit import assert_sound
from tests.faults.stack import Stack
from tests.support.processes import answers, wait_until


def test_restarted_redis_loses_nothing(stack: Stack) -> None:
    in_flight, waiting = stack.held_backlog(30)

    stack.redis_server.kill()
    stack.release()
    end_of_outage = time.monotonic() + 2
    during_outage = [stack.enqueue("Asked while Redis was down")]
    wait_until(lambda: time.monotonic() > end_of_outage, "the end of the outage")
    stack.redis_server.start()

    assert set(assert_sound(stack, [*in_flight, *waiting, *during_outage]).values()) == {"completed"}


def test_emptied_redis_loses_nothing(stack: Stack) -> None:
    in_flight, waiting = stack.held_backlog(30)

    stack.redis.flushall()
    stack.release()

    requests = in_flight + waiting
    assert set(assert_sound(stack, requests).values()) == {"completed"}
    assert all(len(stack.attempts(request)) == 1 for request in requests), "a request was called twice"


def test_requests_are_accepted_while_redis_hangs(stack: Stack) -> None:
    """Redis hangs until all requests are accepted or a client of `stack` times out."""
    in_flight, waiting = stack.held_backlog(30)

    stack.redis_server.send(signal.SIGSTOP)
    during_outage = [stack.enqueue(f"Asked while Redis hung: {number}") for number in range(4)]
    stack.release()
    stack.redis_server.send(signal.SIGCONT)

    assert set(assert_sound(stack, [*in_flight, *waiting, *during_outage]).values()) == {"completed"}


def test_product_starts_and_accepts_requests_while_redis_is_down(stack: Stack) -> None:
    for program in (stack.web, stack.workers, stack.scheduler):
        program.kill_group()
    stack.redis_server.kill()
    for program in (stack.web, stack.workers, stack.scheduler):
        program.start()
    wait_until(lambda: len(stack.workers.children()) == 2, "workers without Redis")
    wait_until(lambda: answers(f"{stack.url}/healthz"), "a web server without Redis")

    request = stack.enqueue("Asked before Redis was up")
    assert stack.statuses([request]) == {request: "pending"}
    stack.redis_server.start()

    assert assert_sound(stack, [request]) == {request: "completed"}

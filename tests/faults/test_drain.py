"""SIGTERM: what runs is finished, nothing new starts."""

import signal

from tests.faults.audit import assert_sound, started_in_order
from tests.faults.stack import Stack


def test_sigterm_lets_calls_finish_and_starts_nothing_new(stack: Stack) -> None:
    stack.behave(latencyMs=1500)
    requests = [stack.enqueue(f"Question {number}") for number in range(16)]
    in_flight = stack.wait_until_in_flight(requests, 8)
    started = started_in_order(stack, requests)
    assert len(started) < len(requests), "there is nothing left that could start"

    assert stack.workers.stop() == 0

    assert started_in_order(stack, requests) == started
    assert set(stack.statuses(in_flight).values()) == {"completed"}
    assert set(stack.statuses(set(requests) - set(started)).values()) == {"pending"}
    stack.workers.start()
    assert set(assert_sound(stack, requests).values()) == {"completed"}
    assert all(len(stack.attempts(request)) == 1 for request in requests)


def test_the_scheduler_and_the_web_server_end_cleanly(stack: Stack) -> None:
    assert stack.scheduler.stop() == 0
    assert stack.web.stop() == 0


def test_a_second_sigterm_does_not_break_the_drain(stack: Stack) -> None:
    stack.behave(latencyMs=1500)
    requests = [stack.enqueue(f"Question {number}") for number in range(8)]
    stack.wait_until_in_flight(requests, 8)

    stack.workers.send(signal.SIGTERM)
    assert stack.workers.stop() == 0

    assert set(stack.statuses(requests).values()) == {"completed"}
    assert set(assert_sound(stack, requests).values()) == {"completed"}

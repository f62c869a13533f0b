"""kill -9 of workers in the middle of calls."""

import os
import signal

from tests.faults.audit import assert_sound
from tests.faults.stack import Stack
from tests.support.processes import wait_until


def test_requests_whose_workers_are_killed_in_their_calls_are_completed_by_others(stack: Stack) -> None:
    """First one child, then the whole group with what it had taken over."""
    stack.behave(latencyMs=1500)
    requests = [stack.enqueue(f"Question {number}") for number in range(16)]
    held_by_child = stack.wait_until_in_flight(requests, 4)[0]
    os.kill(stack.worker_of(held_by_child), signal.SIGKILL)
    wait_until(lambda: _lost(stack, [held_by_child]), "the child to be missed")
    held_by_group = stack.wait_until_in_flight(requests, 2)
    stack.workers.kill_group()
    stack.workers.start()

    assert set(assert_sound(stack, requests).values()) == {"completed"}
    assert _lost(stack, held_by_group), "the kill of the group hit no call"


def _lost(stack: Stack, requests: list[str]) -> list[str]:
    """Those that lost a worker in a call."""
    return [r for r in requests if "WORKER_LOST" in {attempt["error_code"] for attempt in stack.attempts(r)}]


def test_workers_whose_parent_is_killed_finish_their_calls_and_end(stack: Stack) -> None:
    stack.behave(latencyMs=2000)
    requests = [stack.enqueue(f"Question {number}") for number in range(12)]
    in_flight = stack.wait_until_in_flight(requests, 8)
    orphans = stack.workers.children()
    assert len(orphans) == 2

    stack.workers.kill()

    wait_until(lambda: not any(orphan.is_running() for orphan in orphans), "the orphans to end", 20)
    assert {stack.statuses([request])[request] for request in in_flight} == {"completed"}
    assert all(len(stack.attempts(request)) == 1 for request in in_flight), "a call was thrown away"
    waiting = set(requests) - set(in_flight)
    assert set(stack.statuses(waiting).values()) == {"pending"}, "an orphan took new work"
    stack.workers.start()
    assert set(assert_sound(stack, requests).values()) == {"completed"}

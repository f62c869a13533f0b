"""kill -9 of workers during calls."""

import os
import signal

from tests.faults.audit import assert_sound
from tests.faults.stack import PROCESSES, SLOTS, Stack
from tests.support.processes import wait_until


def test_requests_of_killed_workers_are_completed_by_others(stack: Stack) -> None:
    """First kill one child, then the whole group with the requests that it took over."""
    in_flight, waiting = stack.held_backlog(16)
    requests = in_flight + waiting
    held_by_child = in_flight[0]
    os.kill(stack.worker_of(held_by_child), signal.SIGKILL)
    wait_until(lambda: _lost(stack, [held_by_child]), "the lost child to be noticed")
    held_by_group = stack.wait_until_in_flight(requests, SLOTS)
    stack.workers.kill_group()
    stack.release()
    stack.workers.start()

    assert set(assert_sound(stack, requests).values()) == {"completed"}
    assert set(_lost(stack, held_by_group)) == set(held_by_group)


def _lost(stack: Stack, requests: list[str]) -> list[str]:
    """The requests that lost a worker during a call."""
    return [r for r in requests if "WORKER_LOST" in {attempt["error_code"] for attempt in stack.attempts(r)}]


def test_workers_without_a_parent_finish_their_calls_and_exit(stack: Stack) -> None:
    in_flight, waiting = stack.held_backlog(12)
    orphans = stack.workers.children()
    assert len(orphans) == PROCESSES

    stack.workers.kill()
    stack.wait_until_draining()
    stack.release()

    wait_until(lambda: not any(orphan.is_running() for orphan in orphans), "the orphans to end")
    assert {stack.statuses([request])[request] for request in in_flight} == {"completed"}
    assert all(len(stack.attempts(request)) == 1 for request in in_flight), "a call was repeated"
    assert set(stack.statuses(waiting).values()) == {"pending"}, "an orphan took new work"
    stack.workers.start()
    assert set(assert_sound(stack, in_flight + waiting).values()) == {"completed"}

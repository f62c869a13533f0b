"""SIGTERM: running calls finish, and nothing new starts."""

import signal

from tests.faults.audit import assert_sound, started_in_order
from tests.faults.stack import SLOTS, Stack


def test_sigterm_lets_calls_finish_and_starts_nothing_new(stack: Stack) -> None:
    in_flight, waiting = stack.held_backlog(16)
    started = started_in_order(stack, in_flight + waiting)

    stack.workers.send(signal.SIGTERM)
    stack.wait_until_draining()
    stack.release()
    assert stack.workers.wait() == 0

    assert started_in_order(stack, in_flight + waiting) == started
    assert set(stack.statuses(in_flight).values()) == {"completed"}
    assert set(stack.statuses(waiting).values()) == {"pending"}
    stack.workers.start()
    assert set(assert_sound(stack, in_flight + waiting).values()) == {"completed"}
    assert all(len(stack.attempts(request)) == 1 for request in in_flight + waiting)


def test_scheduler_and_web_server_exit_cleanly(stack: Stack) -> None:
    assert stack.scheduler.stop() == 0
    assert stack.web.stop() == 0


def test_second_sigterm_does_not_interrupt_the_drain(stack: Stack) -> None:
    requests, _ = stack.held_backlog(SLOTS)

    stack.workers.send(signal.SIGTERM)
    stack.wait_until_draining()
    stack.workers.send(signal.SIGTERM)
    stack.release()
    assert stack.workers.wait() == 0

    assert set(stack.statuses(requests).values()) == {"completed"}
    assert set(assert_sound(stack, requests).values()) == {"completed"}

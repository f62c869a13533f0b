"""A request that kills every worker that processes it."""

import os
import signal

from tests.faults.audit import assert_sound
from tests.faults.stack import Stack
from tests.support.processes import wait_until


def test_request_that_kills_three_workers_is_quarantined_and_can_be_retried(stack: Stack) -> None:
    stack.behave(faults=[{"kind": "hang", "contains": "poison"}])
    poison = stack.enqueue("poison")
    others = []

    for crash in range(1, 4):
        stack.wait_until_in_flight([poison], 1)
        stack.wait_until_ended(others)  # requests that share a worker with it three times would be quarantined as well
        assert len(stack.attempts(poison)) == crash
        killed = stack.worker_of(poison)
        others += [stack.enqueue(f"Bystander {crash}.{number}") for number in range(4)]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: _has_crashes(stack, poison, crash), f"crash {crash} to be noticed")  # noqa: B023 - awaited here

    statuses = assert_sound(stack, [poison, *others])
    assert statuses.pop(poison) == "failed"
    assert stack.status(poison)["error"] == "3 workers were lost while running this request"
    assert len(stack.attempts(poison)) == 3
    assert set(statuses.values()) == {"completed"}

    stack.behave()
    stack.post({"action": "retry", "requestId": poison}).raise_for_status()
    stack.wait_until_ended([poison])
    assert stack.statuses([poison]) == {poison: "completed"}


def _has_crashes(stack: Stack, request: str, crashes: int) -> bool:
    return bool(stack.column(request, "crashes") == crashes)

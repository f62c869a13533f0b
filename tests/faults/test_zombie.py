"""A worker that is stopped for longer than its lease and then continues."""

import os
import signal
import time

from tests.faults.audit import assert_sound, ended_more_than_once
from tests.faults.stack import LEASE_S, Stack
from tests.support.processes import wait_until

LONGEST_MS = 120_000


def test_late_answer_is_dropped_and_its_cost_is_booked(stack: Stack) -> None:
    stack.hold(times=1)
    request = stack.enqueue("Who answers first?", timeout=LONGEST_MS)
    stack.wait_until_in_flight([request], 1)
    zombie = stack.worker_of(request)

    stack.freeze(zombie)
    stack.wait_until_ended([request])
    first, second = stack.attempts(request)
    assert (first["state"], first["error_code"]) == ("estimated", "WORKER_LOST")
    assert (second["state"], second["error_code"]) == ("settled", "")
    stack.release()
    os.kill(zombie, signal.SIGCONT)

    wait_until(lambda: stack.attempts(request)[0]["state"] == "settled", "the zombie to book its call")
    assert assert_sound(stack, [request]) == {request: "completed"}
    assert ended_more_than_once(stack, [request]) == {}
    attempts = {attempt["id"] for attempt in stack.attempts(request)}
    assert {call["attemptId"] for call in stack.book()} >= attempts, "the provider billed only one of the calls"


def test_zombie_that_claims_its_own_request_again_keeps_the_new_lease(stack: Stack) -> None:
    """The only worker is stopped. It resumes with its old call unfinished and claims the request again."""
    with stack.workers_restarted(WORKER_PROCESSES="1"):
        stack.hold()
        request = stack.enqueue("Who answers first?", timeout=LONGEST_MS)
        stack.wait_until_in_flight([request], 1)
        zombie = stack.worker_of(request)

        stack.freeze(zombie)
        wait_until(lambda: len(stack.attempts(request)) == 2, "the lease to expire")
        os.kill(zombie, signal.SIGCONT)
        stack.wait_until_in_flight([request], 1)
        first, second = stack.attempts(request)
        assert (first["state"], second["state"]) == ("estimated", "dispatched")
        # The old call must end long before the new one; otherwise, the new one's lease would not matter.
        stack.release_call(first["id"])
        wait_until(lambda: stack.attempts(request)[0]["state"] == "settled", "the old call to end")
        end_of_lease = time.monotonic() + 2 * LEASE_S
        wait_until(lambda: time.monotonic() > end_of_lease, "the end of an unrenewed lease")
        stack.release()

        assert assert_sound(stack, [request]) == {request: "completed"}
        assert len(stack.attempts(request)) == 2, "the second call's lease was not renewed"

"""The order in which requests start, read from the rows."""

import os
import sys
import time

from tests.faults.audit import assert_sound, started_in_order
from tests.faults.stack import HEAD_START_S, SLOTS, Stack, seconds, text
from tests.support.forked import run
from tests.support.processes import wait_until

FLOOD, QUIET = (3000, 20) if os.environ.get("FAULTS_FULL") else (150, 10)
FLOOD_LIMIT_S = 200
ONE_SLOT = {"WORKER_PROCESSES": "1", "WORKER_THREADS": "1"}


def test_priorities_start_in_order_with_one_slot(stack: Stack) -> None:
    with stack.workers_restarted(**ONE_SLOT):
        stack.hold()
        first = stack.enqueue("Takes the slot")
        stack.wait_until_in_flight([first], 1)
        low, normal, high, critical = _accepted_within(stack, 1, "low", "normal", "high", "critical")
        stack.release()

        assert_sound(stack, [first, low, normal, high, critical])
        assert started_in_order(stack, [low, normal, high, critical]) == [critical, high, normal, low]


def test_low_priority_request_in_a_stream_of_high_ones_starts_within_its_bound(stack: Stack) -> None:
    """Only requests accepted within the difference of the head starts may overtake it."""
    bound_s = HEAD_START_S["high"] - HEAD_START_S["low"]
    with stack.workers_restarted(**ONE_SLOT):
        stack.hold()
        first = stack.enqueue("Takes the slot")
        stack.wait_until_in_flight([first], 1)
        low, *early = _accepted_within(stack, bound_s, "low", "high", "high", "high")
        end_of_bound = time.monotonic() + bound_s + 0.5
        wait_until(lambda: time.monotonic() > end_of_bound, "the end of the bound")
        late = [stack.enqueue(f"Late {number}", priority="high") for number in range(4)]
        stack.release()

        assert_sound(stack, [first, low, *early, *late])
        assert started_in_order(stack, [low, *early, *late]) == [*early, low, *late]


def test_busy_organization_does_not_delay_another(stack: Stack) -> None:
    """A quiet organization's request starts before every slot has been reused once. This is counted in starts, so it
    does not depend on the machine's load.

    The quiet organization has nothing else in flight; otherwise, its share would depend on timing.
    """
    stack.add_organization("south")
    stack.hold()
    flood = _enqueue_many(stack, "north", FLOOD, "high")
    quiet: list[str] = []
    for number in range(QUIET):
        running = stack.wait_until_in_flight([*flood, *quiet], SLOTS)
        quiet.append(stack.enqueue(f"Quiet {number}", organization="south"))
        while quiet[-1] not in running:
            stack.release_call(stack.attempts(running[0])[-1]["id"])
            running = stack.wait_until_in_flight([*flood, *quiet], SLOTS)
        stack.release_call(stack.attempts(quiet[-1])[-1]["id"])
    assert "pending" in stack.statuses(flood).values(), "the flood is over"

    stack.release()
    assert_sound(stack, [*flood, *quiet], FLOOD_LIMIT_S)
    overtaken = _overtaken(stack, quiet, flood)
    assert sorted(overtaken)[round(0.95 * (len(quiet) - 1))] <= SLOTS, overtaken


def _overtaken(stack: Stack, requests: list[str], others: list[str]) -> list[int]:
    """How many of the others started while each request was waiting."""
    rows = stack.database.rows("SELECT id, created_at, started_at FROM queue_app_airequest")
    moments = {text(row_id): (seconds(created), seconds(started)) for row_id, created, started in rows if started}
    starts = [moments[request][1] for request in others]
    return [sum(moments[r][0] < start < moments[r][1] for start in starts) for r in requests]


def _moment(stack: Stack, request: str, column: str) -> float:
    return seconds(stack.column(request, column))


def _later_s(stack: Stack, first: str, second: str) -> float:
    """Seconds between the acceptance of two requests."""
    return _moment(stack, second, "created_at") - _moment(stack, first, "created_at")


def _accepted_within(stack: Stack, limit_s: float, *priorities: str) -> list[str]:
    """Enqueue one request of each priority. Retries while the machine is too busy to do it within the limit."""
    while True:
        requests = _enqueue_many(stack, "north", 1, *priorities)
        if _later_s(stack, requests[0], requests[-1]) < limit_s:
            return requests
        for request in requests:
            stack.post({"action": "cancel", "requestId": request}).raise_for_status()


def _enqueue_many(stack: Stack, organization: str, count: int, *priorities: str) -> list[str]:
    command = [sys.executable, "-m", "tests.faults.enqueue_many", organization, str(count), *priorities]
    environment = {**os.environ, **stack.env, "DJANGO_SETTINGS_MODULE": "aiinfra.settings"}
    return run(command, environment, check=True).stdout.split()

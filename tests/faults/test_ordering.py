"""The order in which requests start, seen at the rows."""

import os
import subprocess
import sys
import time

import pytest

from tests.faults.audit import assert_sound, started_in_order
from tests.faults.stack import HEAD_START_S, SETTINGS, Stack, seconds, text
from tests.support.processes import ROOT, wait_until

FLOOD = 3000 if os.environ.get("FAULTS_FULL") else 300
FLOOD_LIMIT_S = 200
ONE_SLOT = {"WORKER_PROCESSES": "1", "WORKER_THREADS": "1"}


def test_with_one_slot_priorities_start_in_their_order(stack: Stack) -> None:
    with stack.workers_restarted(**ONE_SLOT):
        stack.behave(latencyMs=2000)
        first = stack.enqueue("Takes the slot")
        stack.wait_until_in_flight([first], 1)
        by_priority = {name: stack.enqueue(name, priority=name) for name in ("low", "normal", "high", "critical")}
        assert set(stack.statuses(by_priority.values()).values()) == {"pending"}, "one started before all were there"
        stack.behave()

        assert_sound(stack, [first, *by_priority.values()])
        started = started_in_order(stack, by_priority.values())
        assert started == [by_priority[name] for name in ("critical", "high", "normal", "low")]


def test_a_low_request_under_a_stream_of_high_ones_starts_within_its_bound(stack: Stack) -> None:
    """It may be overtaken by what is accepted within the difference of the head starts, and by nothing later."""
    bound_s = HEAD_START_S["high"] - HEAD_START_S["low"]
    with stack.workers_restarted(**ONE_SLOT):
        stack.behave(latencyMs=250)
        high = [stack.enqueue(f"High {number}", priority="high") for number in range(8)]
        low = stack.enqueue("Low", priority="low")
        accepted_at = time.monotonic()
        while stack.statuses([low]) == {low: "pending"}:
            assert time.monotonic() < accepted_at + 60
            high.append(stack.enqueue(f"High {len(high)}", priority="high"))
            time.sleep(0.1)
        waiting = [request for request, status in stack.statuses(high).items() if status == "pending"]
        assert waiting, "the stream left room anyway"
        stack.behave()

        assert_sound(stack, [*high, low])
        started = started_in_order(stack, [*high, low])
        before, after = started[: started.index(low)], started[started.index(low) + 1 :]
        assert before, "nothing overtook it"
        assert max(_later_s(stack, low, request) for request in before) <= bound_s
        assert min(_later_s(stack, low, request) for request in after) >= bound_s


@pytest.mark.timeout(FLOOD_LIMIT_S + 100)
def test_one_organization_with_many_requests_does_not_make_another_wait(stack: Stack) -> None:
    """One slot's time is when every slot has been taken anew once: counted in starts, whatever the machine's load."""
    stack.add_organization("south")
    stack.behave(latencyMs=800)
    flood = _flood(stack, "north")
    waiting = [request for request, status in stack.statuses(flood).items() if status == "pending"]
    assert len(waiting) > FLOOD // 3, "there is no flood"

    quiet: list[str] = []
    for number in range(20):
        quiet.append(stack.enqueue(f"Quiet {number}", organization="south"))
        wait_until(lambda: stack.statuses(quiet)[quiet[-1]] != "pending", "the start")

    was_flooded = "pending" in stack.statuses(flood).values()
    stack.behave()
    assert_sound(stack, [*flood, *quiet], FLOOD_LIMIT_S)
    slots = int(SETTINGS["WORKER_PROCESSES"]) * int(SETTINGS["WORKER_THREADS"])
    overtaken = _overtaken(stack, quiet, flood)
    assert sorted(overtaken)[round(0.95 * (len(quiet) - 1))] <= slots, overtaken
    assert was_flooded, "the flood was over too early"


def _overtaken(stack: Stack, requests: list[str], others: list[str]) -> list[int]:
    """How many of the others started while each of the requests waited."""
    rows = stack.database.rows("SELECT id, created_at, started_at FROM queue_app_airequest")
    moments = {text(row_id): (seconds(created), seconds(started)) for row_id, created, started in rows if started}
    starts = [moments[request][1] for request in others]
    return [sum(moments[r][0] < start < moments[r][1] for start in starts) for r in requests]


def _moment(stack: Stack, request: str, column: str) -> float:
    return seconds(stack.column(request, column))


def _later_s(stack: Stack, first: str, second: str) -> float:
    """Seconds between the acceptance of two requests."""
    return _moment(stack, second, "created_at") - _moment(stack, first, "created_at")


def _flood(stack: Stack, organization: str) -> list[str]:
    command = [sys.executable, "-m", "tests.faults.enqueue_many", organization, str(FLOOD), "high"]
    environment = {**os.environ, **stack.env, "DJANGO_SETTINGS_MODULE": "aiinfra.settings"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout.split()

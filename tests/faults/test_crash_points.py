"""kill -9 at every named point of a request's processing, with a budget that holds its money."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.audit import assert_agreement, assert_sound
from tests.faults.crash import POINTS
from tests.faults.deaths import run_until_killed
from tests.faults.stack import Stack, text


def test_crash_at_any_point_loses_no_request_no_money_and_no_hold(stack: Stack) -> None:
    stack.hold(contains="mid_call")
    with _workers_and_scheduler_stopped(stack):
        crashed = dict(
            zip(POINTS, run_until_killed(stack, "tests.faults.crash", [[point] for point in POINTS]), strict=True)
        )
        accepted = [request for request in crashed.values() if request]
        assert {point for point, request in crashed.items() if not request} == {"after_reserve", "after_commit"}
        committed = [
            text(row)
            for (row,) in stack.database.rows("SELECT id FROM queue_app_airequest WHERE status <> 'cancelled'")
        ]
        assert _held(stack) > 0, "nothing was reserved"
        assert set(accepted) < set(committed), "the request committed before the crash is missing"
        live = [r for r, status in stack.statuses(committed).items() if status in {"pending", "processing"}]
        assert len(live) >= len(POINTS) - 3, "too few requests were in progress"
        stack.release()
    statuses = assert_sound(stack, live)
    assert set(statuses.values()) == {"completed"}
    assert _held(stack) == 0
    assert_agreement(stack)


@contextmanager
def _workers_and_scheduler_stopped(stack: Stack) -> Iterator[None]:
    stack.workers.stop()
    stack.scheduler.stop()
    try:
        yield
    finally:
        stack.scheduler.start()
        stack.workers.start()


def _held(stack: Stack) -> int:
    ((held,),) = stack.database.rows("SELECT SUM(reserved_nano) FROM cost_app_budgetwindow")
    return int(held or 0)

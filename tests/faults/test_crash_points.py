"""kill -9 at every named point of a request's way, with a budget that holds its money."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.audit import assert_agreement, assert_sound
from tests.faults.crash import POINTS
from tests.faults.deaths import deaths
from tests.faults.stack import Stack, text


def test_a_crash_at_any_point_loses_no_request_no_dollar_and_no_hold(stack: Stack) -> None:
    stack.hold(contains="mid_call")
    with _nobody_at_work(stack):
        crashed = dict(zip(POINTS, deaths(stack, "tests.faults.crash", [[point] for point in POINTS]), strict=True))
        accepted = [request for request in crashed.values() if request]
        assert {point for point, request in crashed.items() if not request} == {"after_reserve", "after_commit"}
        committed = [
            text(row)
            for (row,) in stack.database.rows("SELECT id FROM queue_app_airequest WHERE status <> 'cancelled'")
        ]
        assert _held(stack) > 0, "nothing was held: there was nothing to lose"
        assert set(accepted) < set(committed), "the request of the crash after its commit is gone"
        live = [r for r, status in stack.statuses(committed).items() if status in {"pending", "processing"}]
        assert len(live) >= len(POINTS) - 3, "too few requests were under way"
        stack.release()
    statuses = assert_sound(stack, live)
    assert set(statuses.values()) == {"completed"}
    assert _held(stack) == 0
    assert_agreement(stack)


@contextmanager
def _nobody_at_work(stack: Stack) -> Iterator[None]:
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

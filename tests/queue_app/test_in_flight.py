from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from queue_app.models import AIRequest
from queue_app.ordering.claims import Claim
from queue_app.processing import in_flight


@pytest.fixture
def claim() -> Claim:
    return Claim(AIRequest(id=uuid4(), timeout_ms=1000), {}, 1)


@pytest.fixture(autouse=True)
def _works_on_nothing_else(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(in_flight, "_running", {})
    yield
    in_flight.stopping.clear()


def test_what_runs_is_held_until_it_ends(claim: Claim) -> None:
    with in_flight.track(claim):
        assert in_flight.leased_attempts() == [(claim.request.id, 1)]
        assert in_flight.running_count() == 1
    assert (in_flight.leased_attempts(), in_flight.running_count()) == ([], 0)


def test_it_ends_also_by_an_error(claim: Claim) -> None:
    with pytest.raises(RuntimeError), in_flight.track(claim):
        raise RuntimeError
    assert in_flight.running_count() == 0


def test_a_call_that_does_not_come_back_is_let_go_but_still_fills_its_slot(
    claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "OVERTIME_S", -2)
    with in_flight.track(claim):
        assert (in_flight.leased_attempts(), in_flight.running_count()) == ([], 1)


def test_two_attempts_of_one_request_in_one_process_end_each_for_itself(claim: Claim) -> None:
    """A request that was cancelled and retried while its first call is still on the way."""
    again = replace(claim, attempt_number=2)
    first, second = in_flight.track(claim), in_flight.track(again)
    first.__enter__()
    second.__enter__()
    assert in_flight.running_count() == 2
    first.__exit__(None, None, None)
    assert in_flight.leased_attempts() == [(claim.request.id, 2)]
    second.__exit__(None, None, None)
    assert in_flight.running_count() == 0

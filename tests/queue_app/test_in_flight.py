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
def _nothing_in_flight(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(in_flight, "_running", {})
    yield
    in_flight.stopping.clear()


def test_a_running_attempt_is_tracked_until_it_ends(claim: Claim) -> None:
    with in_flight.track(claim):
        assert in_flight.leased_attempts() == [(claim.request.id, 1)]
        assert in_flight.running_count() == 1
    assert (in_flight.leased_attempts(), in_flight.running_count()) == ([], 0)


def test_tracking_ends_after_an_error(claim: Claim) -> None:
    with pytest.raises(RuntimeError), in_flight.track(claim):
        raise RuntimeError
    assert in_flight.running_count() == 0


def test_a_stuck_call_loses_its_lease_but_keeps_its_slot(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "OVERTIME_S", -2)
    with in_flight.track(claim):
        assert (in_flight.leased_attempts(), in_flight.running_count()) == ([], 1)


def test_two_attempts_of_one_request_are_tracked_separately(claim: Claim) -> None:
    """A request that was cancelled and retried while its first call is still running."""
    again = replace(claim, attempt_number=2)
    first, second = in_flight.track(claim), in_flight.track(again)
    first.__enter__()
    second.__enter__()
    assert in_flight.running_count() == 2
    first.__exit__(None, None, None)
    assert in_flight.leased_attempts() == [(claim.request.id, 2)]
    second.__exit__(None, None, None)
    assert in_flight.running_count() == 0

"""The circuit breaker, shared by all workers."""

from collections.abc import Iterator

import pytest

from tests.faults.audit import assert_sound
from tests.faults.stack import Stack
from tests.support.processes import wait_until

FAILURES = 5


@pytest.fixture
def no_default_fallback(stack: Stack) -> Iterator[None]:
    """Requests have no fallback, so they wait for the circuit of their model."""
    stack.database.rows(
        "INSERT INTO providers_fallbackoptout (organization_id, provider, model) "
        "SELECT id, '', '' FROM tenants_organization WHERE slug = 'north'"
    )
    yield
    stack.database.rows("DELETE FROM providers_fallbackoptout")


@pytest.mark.usefixtures("no_default_fallback")
def test_circuit_opens_for_all_workers_and_allows_one_probe(stack: Stack) -> None:
    stack.behave(faults=[{"kind": "status", "status": 500}])
    failing = [stack.enqueue(f"Down {number}", maxRetries=0) for number in range(FAILURES)]
    assert set(stack.wait_until_ended(failing).values()) == {"failed"}
    assert {stack.attempts(request)[0]["error_code"] for request in failing} == {"SERVER_ERROR"}

    # The first call after the circuit's open time is the probe. It is held, so that the others find it running.
    stack.hold()
    waiting = [stack.enqueue(f"Later {number}", maxRetries=1) for number in range(16)]
    (probe,) = stack.wait_until_in_flight(waiting, 1)
    others = [request for request in waiting if request != probe]
    wait_until(lambda: _rejected_by_circuit(stack, others) == set(others), "the circuit to reject the others")
    wait_until(
        lambda: len({stack.column(request, "worker") for request in waiting}) == 2, "both workers to check the circuit"
    )
    assert _sent(stack, waiting) == 1
    stack.release()

    assert set(assert_sound(stack, waiting).values()) == {"completed"}


def _rejected_by_circuit(stack: Stack, requests: list[str]) -> set[str]:
    return set(stack.requests_of_attempts("error_code = 'CIRCUIT_OPEN'")) & set(requests)


def _sent(stack: Stack, requests: list[str]) -> int:
    wanted = set(requests)
    return sum(each in wanted for each in stack.requests_of_attempts("dispatched_at IS NOT NULL"))

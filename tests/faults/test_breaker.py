"""The circuit breaker, as all workers share it."""

from collections.abc import Iterator

import pytest

from tests.faults.audit import assert_sound
from tests.faults.stack import Stack, text
from tests.support.processes import wait_until

FAILURES = 5


@pytest.fixture
def no_default_fallback(stack: Stack) -> Iterator[None]:
    """Requests wait for the circuit of their model, for they have nowhere else to go."""
    stack.database.rows(
        "INSERT INTO providers_fallbackoptout (organization_id, provider, model) "
        "SELECT id, '', '' FROM tenants_organization WHERE slug = 'north'"
    )
    yield
    stack.database.rows("DELETE FROM providers_fallbackoptout")


@pytest.mark.usefixtures("no_default_fallback")
def test_the_circuit_opens_for_all_workers_and_lets_one_probe_through(stack: Stack) -> None:
    stack.behave(faults=[{"kind": "status", "status": 500}])
    failing = [stack.enqueue(f"Down {number}", maxRetries=0) for number in range(FAILURES)]
    assert set(stack.wait_until_ended(failing).values()) == {"failed"}
    assert {stack.attempts(request)[0]["error_code"] for request in failing} == {"SERVER_ERROR"}

    stack.behave(latencyMs=1500)
    waiting = [stack.enqueue(f"Later {number}", maxRetries=1) for number in range(16)]
    wait_until(lambda: _codes(stack, waiting).count("CIRCUIT_OPEN") >= 16, "every request to be turned away")
    workers = {stack.column(request, "worker") for request in waiting}
    assert len(workers) == 2, "only one worker asked the breaker"
    assert _sent(stack, waiting) == 0
    wait_until(lambda: _sent(stack, waiting) > 0, "the probe")
    assert _most_sent_before_the_first_answer(stack, waiting) == 1

    assert set(assert_sound(stack, waiting).values()) == {"completed"}


def _codes(stack: Stack, requests: list[str]) -> list[str]:
    wanted = set(requests)
    rows = stack.database.rows("SELECT request_id, error_code FROM cost_app_attempt")
    return [code for request, code in rows if text(request) in wanted]


def _sent(stack: Stack, requests: list[str]) -> int:
    wanted = set(requests)
    rows = stack.database.rows("SELECT request_id FROM cost_app_attempt WHERE dispatched_at IS NOT NULL")
    return sum(text(request) in wanted for (request,) in rows)


def _most_sent_before_the_first_answer(stack: Stack, requests: list[str]) -> int:
    """Looks while the probe is on its way."""
    most = 0
    while "completed" not in stack.statuses(requests).values():
        sent = _sent(stack, requests)
        if "completed" not in stack.statuses(requests).values():
            most = max(most, sent)
    return most

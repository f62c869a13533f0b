"""Providers that refuse, hang, or bill undelivered answers."""

import signal

from tests.faults.audit import assert_sound
from tests.faults.stack import MODEL, PROVIDER, Stack, seconds
from tests.support.processes import answers, wait_until

CALLS = {"reset": 60_000, "hang": 1_000, "late": 1_000}
"""Prompt -> timeout in ms."""


def test_retry_after_is_honored(stack: Stack) -> None:
    stack.behave(faults=[{"kind": "rate_limit", "retryAfterS": 3, "times": 1}])
    request = stack.enqueue()

    assert assert_sound(stack, [request]) == {request: "completed"}
    first, second = stack.attempts(request)
    assert (first["state"], first["error_code"], first["cost_nano"]) == ("released", "RATE_LIMITED", 0)
    assert seconds(second["dispatched_at"]) - seconds(first["finished_at"]) >= 3


def test_calls_with_unknown_outcome_are_booked_and_later_corrected(stack: Stack) -> None:
    """A reset after billing, an unbilled hang, and a billed answer after the timeout."""
    kinds = {"reset": "reset_after_billing", "hang": "hang", "late": "hold"}
    stack.behave(faults=[{"kind": kind, "contains": prompt} for prompt, kind in kinds.items()])
    stack.freeze(stack.scheduler.pid)  # it runs the sweeper, which looks up bills
    reset, hang, late = (stack.enqueue(word, timeout=ms, maxRetries=0) for word, ms in CALLS.items())
    assert set(stack.wait_until_ended([reset, hang, late]).values()) == {"failed"}
    booked = {request: stack.attempts(request)[0] for request in (reset, hang, late)}
    codes = ["CONNECTION_ERROR", "TIMEOUT", "TIMEOUT"]
    assert [attempt["error_code"] for attempt in booked.values()] == codes
    assert all(attempt["cost_nano"] > 0 for attempt in booked.values()), (
        "the reservation was released before the bill was known"
    )

    stack.release()
    stack.scheduler.send(signal.SIGCONT)
    assert_sound(stack, [reset, hang, late])
    cost = {request: stack.attempts(request)[0]["cost_nano"] for request in (reset, hang, late)}
    assert cost[hang] == 0
    assert cost[reset] > 0, "a call that was billed was booked as free"
    assert cost[late] > 0, "a late answer is billed, too"


def test_unavailable_bill_is_looked_up_later(stack: Stack) -> None:
    stack.behave(faults=[{"kind": "reset_after_billing", "times": 1}])
    request = stack.enqueue(maxRetries=1)
    assert stack.wait_until_ended([request]) == {request: "completed"}
    assert [attempt["error_code"] for attempt in stack.attempts(request)] == ["CONNECTION_ERROR", ""]
    assert stack.attempts(request)[0]["state"] == "estimated", "the bill has already been looked up"
    stack.sandbox.kill()
    stack.bring_deadlines_forward()
    lookup_at = stack.attempts(request)[0]["deadline_at"]
    wait_until(lambda: stack.attempts(request)[0]["deadline_at"] != lookup_at, "a failed lookup")

    stack.sandbox.start()
    wait_until(lambda: answers(f"{stack.sandbox_url}/"), "the sandbox")
    assert assert_sound(stack, [request]) == {request: "completed"}


def test_fallback_is_used_while_a_provider_stays_down(stack: Stack) -> None:
    _route(stack, "openai", "gpt-3.5-turbo")
    stack.behave(faults=[{"kind": "status", "status": 503, "provider": PROVIDER}])
    request = stack.enqueue(maxRetries=1)

    assert assert_sound(stack, [request]) == {request: "completed"}
    attempts = stack.attempts(request)
    assert [(a["provider"], a["state"]) for a in attempts] == [
        (PROVIDER, "released"),
        (PROVIDER, "released"),
        ("openai", "settled"),
    ]
    stack.database.rows("DELETE FROM providers_fallbackroute")


def _route(stack: Stack, provider: str, model: str) -> None:
    columns = "organization_id, provider, model, position, to_provider, to_model"
    stack.database.rows(
        f"INSERT INTO providers_fallbackroute ({columns}) "  # noqa: S608 - constants
        f"SELECT id, '{PROVIDER}', '{MODEL}', 1, '{provider}', '{model}' FROM tenants_organization WHERE slug = 'north'"
    )

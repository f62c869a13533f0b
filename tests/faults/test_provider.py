"""Providers that refuse, hang, or bill what they never deliver."""

import signal

from tests.faults.audit import assert_sound
from tests.faults.stack import MODEL, PROVIDER, Stack, seconds
from tests.support.processes import answers, wait_until

CALLS = {"reset": 60_000, "hang": 1_000, "late": 1_000}
"""Prompt -> time-out in ms."""


def test_retry_after_is_honored(stack: Stack) -> None:
    stack.behave(faults=[{"kind": "rate_limit", "retryAfterS": 3, "times": 1}])
    request = stack.enqueue()

    assert assert_sound(stack, [request]) == {request: "completed"}
    first, second = stack.attempts(request)
    assert (first["state"], first["error_code"], first["cost_nano"]) == ("released", "RATE_LIMITED", 0)
    assert seconds(second["dispatched_at"]) - seconds(first["finished_at"]) >= 3


def test_calls_whose_outcome_is_unknown_are_booked_and_then_corrected(stack: Stack) -> None:
    """A reset after billing, a hang that costs nothing, and an answer that comes after the time-out and is billed."""
    kinds = {"reset": "reset_after_billing", "hang": "hang", "late": "hold"}
    stack.behave(faults=[{"kind": kind, "contains": prompt} for prompt, kind in kinds.items()])
    stack.freeze(stack.scheduler.pid)  # the sweeper, which finds out what calls cost, is in it
    reset, hang, late = (stack.enqueue(word, timeout=ms, maxRetries=0) for word, ms in CALLS.items())
    assert set(stack.wait_until_ended([reset, hang, late]).values()) == {"failed"}
    booked = {request: stack.attempts(request)[0] for request in (reset, hang, late)}
    codes = ["CONNECTION_ERROR", "TIMEOUT", "TIMEOUT"]
    assert [attempt["error_code"] for attempt in booked.values()] == codes
    assert all(attempt["cost_nano"] > 0 for attempt in booked.values()), "money was given back before anybody knew"

    stack.release()
    stack.scheduler.send(signal.SIGCONT)
    assert_sound(stack, [reset, hang, late])
    cost = {request: stack.attempts(request)[0]["cost_nano"] for request in (reset, hang, late)}
    assert cost[hang] == 0
    assert cost[reset] > 0, "a call that was billed was booked as free"
    assert cost[late] > 0, "an answer that nobody waited for is billed all the same"


def test_an_unavailable_bill_is_requested_later(stack: Stack) -> None:
    stack.behave(faults=[{"kind": "reset_after_billing", "times": 1}])
    request = stack.enqueue(maxRetries=1)
    assert stack.wait_until_ended([request]) == {request: "completed"}
    assert [attempt["error_code"] for attempt in stack.attempts(request)] == ["CONNECTION_ERROR", ""]
    assert stack.attempts(request)[0]["state"] == "estimated", "the bill was looked up already"
    stack.sandbox.kill()
    stack.bring_deadlines_forward()
    look_up_at = stack.attempts(request)[0]["deadline_at"]
    wait_until(lambda: stack.attempts(request)[0]["deadline_at"] != look_up_at, "a look-up in vain")

    stack.sandbox.start()
    wait_until(lambda: answers(f"{stack.sandbox_url}/"), "the sandbox")
    assert assert_sound(stack, [request]) == {request: "completed"}


def test_a_provider_that_stays_down_is_abandoned_for_the_fallback(stack: Stack) -> None:
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

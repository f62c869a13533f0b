"""Streamed calls of both adapters, with the real client libraries and a running sandbox."""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from aiinfra.providers.base import ChatAnswer, ChatCall, ChatStream, ErrorCode, ProviderAttempt, ProviderError
from aiinfra.providers.base import StreamEvent as Event
from aiinfra.providers.registry import adapter_for
from tests.providers.conftest import TIMEOUTS_S, SandboxClient
from tests.support.processes import wait_until

Attempts = Callable[..., ProviderAttempt]
Calls = Callable[..., ChatCall]

pytestmark = [pytest.mark.parametrize("provider", ["openai", "deepseek", "anthropic"])]


def whole(stream: ChatStream) -> tuple[list[Event], ChatAnswer]:
    """All events and the answer."""
    events: list[Event] = []
    while True:
        try:
            events.append(next(stream))
        except StopIteration as end:
            answer: ChatAnswer = end.value
            return events, answer


def failure(stream: ChatStream) -> tuple[list[Event], ProviderError]:
    """The events before a failure, and the failure."""
    events: list[Event] = []
    with pytest.raises(ProviderError) as caught:
        for event in stream:
            events.append(event)  # noqa: PERF402 - keeps the events when the stream raises
    return events, caught.value


def test_stream_ends_with_the_same_answer_as_a_plain_call(
    provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls
) -> None:
    made, adapter = attempt(provider), adapter_for(provider)
    events, answer = whole(adapter.stream(made, call()))
    plain = adapter.chat(attempt(provider), call())
    assert len(events) > 10
    assert (answer.content, answer.finish_reason) == (plain.content, plain.finish_reason)
    assert answer.usage == plain.usage
    (row,) = sandbox.bills(made.id)
    assert answer.usage is not None
    assert (row["usage"]["input"], row["usage"]["output"]) == (answer.usage.input, answer.usage.output)


def test_events_arrive_while_the_provider_is_still_answering(
    provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls
) -> None:
    sandbox.behave(faults=[{"kind": "stream_hold"}])
    made = attempt(provider)
    stream = adapter_for(provider).stream(made, call())
    first = next(stream)
    assert first.data
    release = f"/sandbox/calls/{made.id}/release"
    wait_until(lambda: sandbox.post(release, {}).status_code == 200, "the held answer")
    _, answer = whole(stream)
    assert answer.finish_reason == "stop"


@pytest.mark.parametrize(
    ("fault", "code", "may_be_billed"),
    [
        ({"kind": "rate_limit", "retryAfterS": 7}, ErrorCode.RATE_LIMITED, False),
        ({"kind": "status", "status": 503}, ErrorCode.SERVER_ERROR, False),
        ({"kind": "reset_before_billing"}, ErrorCode.CONNECTION_ERROR, True),
        ({"kind": "malformed_body"}, ErrorCode.UNREADABLE_ANSWER, True),
    ],
)
def test_failure_before_the_first_event_is_the_same_as_for_a_plain_call(
    provider: str,
    sandbox: SandboxClient,
    attempt: Attempts,
    call: Calls,
    fault: dict[str, Any],
    code: ErrorCode,
    may_be_billed: bool,
) -> None:
    sandbox.behave(faults=[fault])
    events, error = failure(adapter_for(provider).stream(attempt(provider), call()))
    assert events == []
    assert (error.code, error.may_be_billed) == (code, may_be_billed)


@pytest.mark.parametrize(
    ("kind", "code"),
    [("stream_reset", ErrorCode.CONNECTION_ERROR), ("stream_error", ErrorCode.SERVER_ERROR)],
)
def test_broken_stream_may_be_billed_and_has_no_final_usage(
    provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls, kind: str, code: ErrorCode
) -> None:
    sandbox.behave(faults=[{"kind": kind}])
    made = attempt(provider)
    events, error = failure(adapter_for(provider).stream(made, call()))
    assert len(events) > 5
    assert (error.code, error.may_be_billed, error.usage) == (code, True, None)
    assert len(sandbox.bills(made.id)) == 1


def test_stream_with_a_long_pause_times_out(
    provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls, settings: Settings
) -> None:
    sandbox.behave(faults=[{"kind": "stream_hold"}])
    events: list[Event] = []
    for settings.PROVIDER_STREAM_IDLE_S in TIMEOUTS_S:
        events, error = failure(adapter_for(provider).stream(attempt(provider), call(timeout_s=60)))
        assert (error.code, error.may_be_billed) == (ErrorCode.TIMEOUT, True)
        if events:
            break
    assert events


def test_stream_that_takes_too_long_overall_times_out(
    provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls
) -> None:
    sandbox.behave(latencyMs=60_000)
    _, error = failure(adapter_for(provider).stream(attempt(provider), call(timeout_s=0.3)))
    assert error.code is ErrorCode.TIMEOUT


def test_stream_without_usage_is_an_answer_without_usage(
    provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls
) -> None:
    sandbox.behave(faults=[{"kind": "missing_usage"}])
    _, answer = whole(adapter_for(provider).stream(attempt(provider), call()))
    assert answer.content
    assert answer.usage is None


def test_closing_a_stream_ends_the_call(provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls) -> None:
    sandbox.behave(faults=[{"kind": "stream_hold"}])
    made = attempt(provider)
    stream = adapter_for(provider).stream(made, call())
    next(stream)
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)
    assert len(sandbox.bills(made.id)) == 1

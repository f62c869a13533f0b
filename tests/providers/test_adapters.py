"""Both adapters with the real client libraries and a running sandbox."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from aiinfra.providers.base import BillState, ChatCall, ErrorCode, ProviderAttempt, ProviderError
from aiinfra.providers.registry import adapter_for
from tests.providers.conftest import TIMEOUTS_S, SandboxClient
from tests.support.processes import wait_until

PROVIDERS = ["openai", "deepseek", "anthropic"]

Attempts = Callable[..., ProviderAttempt]
Calls = Callable[..., ChatCall]

pytestmark = [pytest.mark.parametrize("provider", PROVIDERS), pytest.mark.usefixtures("sandbox")]


def failure_of(provider: str, attempt: ProviderAttempt, call: ChatCall) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        adapter_for(provider).chat(attempt, call)
    return caught.value


def test_answer_has_text_and_the_billed_usage(
    provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls
) -> None:
    made = attempt(provider)
    answer = adapter_for(provider).chat(made, call())
    assert "sandbox" in answer.content
    assert answer.finish_reason == "stop"
    assert answer.usage is not None
    assert answer.raw_usage
    (row,) = sandbox.bills(made.id)
    assert (row["provider"], row["model"]) == (provider, "gpt-4")
    assert row["usage"] == {
        "input": answer.usage.input,
        "cacheRead": answer.usage.cache_read,
        "cacheWrite": answer.usage.cache_write,
        "output": answer.usage.output,
        "reasoning": answer.usage.reasoning,
    }


def test_token_limit_is_sent(provider: str, attempt: Attempts, call: Calls) -> None:
    answer = adapter_for(provider).chat(attempt(provider), call(max_tokens=5))
    assert answer.finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.output <= 5


@pytest.mark.parametrize(
    ("fault", "code", "billed"),
    [
        ({"kind": "rate_limit", "retryAfterS": 7}, ErrorCode.RATE_LIMITED, False),
        ({"kind": "status", "status": 500}, ErrorCode.SERVER_ERROR, False),
        ({"kind": "status", "status": 503}, ErrorCode.SERVER_ERROR, False),
        ({"kind": "status", "status": 400}, ErrorCode.INVALID_REQUEST, False),
        ({"kind": "status", "status": 404}, ErrorCode.MODEL_NOT_FOUND, False),
        ({"kind": "status", "status": 422}, ErrorCode.INVALID_REQUEST, False),
        ({"kind": "status", "status": 401}, ErrorCode.AUTHENTICATION, False),
        ({"kind": "status", "status": 403}, ErrorCode.AUTHENTICATION, False),
        ({"kind": "reset_before_billing"}, ErrorCode.CONNECTION_ERROR, True),
        ({"kind": "reset_after_billing"}, ErrorCode.CONNECTION_ERROR, True),
        ({"kind": "malformed_body"}, ErrorCode.UNREADABLE_ANSWER, True),
        ({"kind": "content_filter"}, ErrorCode.CONTENT_FILTERED, True),
    ],
)
def test_failed_call_has_its_error_code_and_is_sent_once(
    provider: str,
    sandbox: SandboxClient,
    attempt: Attempts,
    call: Calls,
    fault: dict[str, Any],
    code: ErrorCode,
    billed: bool,
) -> None:
    sandbox.behave(faults=[{**fault, "times": 1}])
    made = attempt(provider)
    error = failure_of(provider, made, call())
    assert (error.code, error.may_be_billed) == (code, billed)
    assert sandbox.get("/sandbox/behaviour")["faults"][0]["times"] == 0
    answered = fault["kind"] in {"reset_after_billing", "malformed_body", "content_filter"}
    assert len(sandbox.bills(made.id)) == answered


def test_retry_after_is_passed_on(provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls) -> None:
    sandbox.behave(faults=[{"kind": "rate_limit", "retryAfterS": 7}])
    assert failure_of(provider, attempt(provider), call()).retry_after_s == 7


def test_filtered_answer_reports_its_usage(
    provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls
) -> None:
    sandbox.behave(faults=[{"kind": "content_filter"}])
    error = failure_of(provider, attempt(provider), call())
    assert error.usage is not None
    assert error.usage.input > 0
    assert not error.retryable


def test_missing_usage_is_none(provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls) -> None:
    sandbox.behave(faults=[{"kind": "missing_usage"}])
    answer = adapter_for(provider).chat(attempt(provider), call())
    assert answer.content
    assert answer.usage is None


def test_slow_answer_times_out_and_is_still_billed(
    provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls
) -> None:
    sandbox.behave(faults=[{"kind": "hold"}])
    made, adapter = attempt(provider), adapter_for(provider)
    for timeout_s in TIMEOUTS_S:
        error = failure_of(provider, made, call(timeout_s=timeout_s))
        assert error.code is ErrorCode.TIMEOUT
        if error.may_be_billed:
            break
    assert error.may_be_billed
    wait_until(lambda: adapter.bill_of(made.id) == (BillState.RUNNING, None), "the call to arrive")
    sandbox.behave()
    wait_until(lambda: adapter.bill_of(made.id)[0] is BillState.BILLED, "the abandoned call to be billed")
    assert len(sandbox.bills(made.id)) == 1


def test_endless_call_times_out(provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls) -> None:
    sandbox.behave(faults=[{"kind": "hang"}])
    assert failure_of(provider, attempt(provider), call(timeout_s=0.3)).code is ErrorCode.TIMEOUT


def test_unsent_call_is_not_billed(provider: str) -> None:
    assert adapter_for(provider).bill_of(uuid.uuid4()) == (BillState.NOT_BILLED, None)


def test_official_client_libraries_send_the_requests(
    provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls
) -> None:
    adapter_for(provider).chat(attempt(provider), call())
    expected = "Anthropic/Python" if provider == "anthropic" else "OpenAI/Python"
    assert any(agent.startswith(expected) for agent in sandbox.get("/sandbox/agents"))


def test_error_contains_neither_prompt_nor_key(
    provider: str, sandbox: SandboxClient, attempt: Attempts, call: Calls
) -> None:
    sandbox.behave(faults=[{"kind": "status", "status": 400}])
    error = failure_of(provider, attempt(provider), call("a simulated fault is my secret"))
    assert "simulated fault" not in str(error)
    assert error.__suppress_context__
    assert "simulated fault" in str(failure_of(provider, attempt(provider), call("something else")))

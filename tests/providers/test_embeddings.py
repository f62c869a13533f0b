"""Embeddings with the real client library, from a running sandbox and from servers with invalid answers."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from aiinfra.providers.base import EmbeddingAnswer, EmbeddingCall, ErrorCode, ProviderAttempt, ProviderError, TokenUsage
from aiinfra.providers.registry import adapter_for
from tests.providers.conftest import TIMEOUTS_S, SandboxClient
from tests.support.tcp import Recorder, server

Attempts = Callable[..., ProviderAttempt]
TEXTS = ["How do I plan a garden?", "What is the capital of Peru?"]
CALL = EmbeddingCall(TEXTS, timeout_s=10)
ONE, OTHER = [1.0, 0.0], [0.0, 1.0]


def failure_of(attempt: ProviderAttempt, call: EmbeddingCall = CALL) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        adapter_for(attempt.provider).embed(attempt, call)
    return caught.value


def answered_with(body: object, call: EmbeddingCall = CALL) -> tuple[EmbeddingAnswer | ProviderError, str]:
    """The adapter's result for a server's answer, and the request that was sent."""
    text = json.dumps(body)
    recorder = Recorder(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}")
    attempt = ProviderAttempt(id=uuid.uuid4(), organization_id=1, provider="local", model="m")
    with server(recorder) as port, pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.COMPATIBLE_PROVIDERS", {"local": f"http://127.0.0.1:{port}/v1"})
        try:
            return adapter_for("local").embed(attempt, call), recorder.request
        except ProviderError as error:
            return error, recorder.request


def rows(*vectors: tuple[int, object]) -> list[dict[str, Any]]:
    return [{"object": "embedding", "index": index, "embedding": vector} for index, vector in vectors]


def test_answer_has_a_vector_per_text_and_the_billed_usage(sandbox: SandboxClient, attempt: Attempts) -> None:
    made = attempt("openai", "text-embedding-3-small")
    answer = adapter_for("openai").embed(made, CALL)
    assert [len(vector) for vector in answer.vectors] == [1536, 1536]
    (bill,) = sandbox.bills(made.id)
    assert answer.usage == TokenUsage(input=bill["usage"]["input"])
    assert answer.raw_usage["total_tokens"] == bill["usage"]["input"] > 0


@pytest.mark.parametrize(
    ("fault", "code", "billed"),
    [
        ({"kind": "rate_limit", "retryAfterS": 7}, ErrorCode.RATE_LIMITED, False),
        ({"kind": "status", "status": 500}, ErrorCode.SERVER_ERROR, False),
        ({"kind": "status", "status": 400}, ErrorCode.INVALID_REQUEST, False),
        ({"kind": "status", "status": 401}, ErrorCode.AUTHENTICATION, False),
        ({"kind": "reset_before_billing"}, ErrorCode.CONNECTION_ERROR, True),
        ({"kind": "reset_after_billing"}, ErrorCode.CONNECTION_ERROR, True),
        ({"kind": "malformed_body"}, ErrorCode.UNREADABLE_ANSWER, True),
    ],
)
def test_failed_call_has_its_error_code_and_is_sent_once(
    sandbox: SandboxClient, attempt: Attempts, fault: dict[str, Any], code: ErrorCode, billed: bool
) -> None:
    sandbox.behave(faults=[{**fault, "times": 1}])
    error = failure_of(attempt())
    assert (error.code, error.may_be_billed) == (code, billed)
    assert sandbox.get("/sandbox/behaviour")["faults"][0]["times"] == 0


def test_slow_answer_times_out(sandbox: SandboxClient, attempt: Attempts) -> None:
    sandbox.behave(faults=[{"kind": "hang"}])
    for timeout_s in TIMEOUTS_S:
        error = failure_of(attempt(), EmbeddingCall(TEXTS, timeout_s=timeout_s))
        assert error.code is ErrorCode.TIMEOUT
        if error.may_be_billed:
            break
    assert error.may_be_billed


def test_missing_usage_is_none(sandbox: SandboxClient, attempt: Attempts) -> None:
    sandbox.behave(faults=[{"kind": "missing_usage"}])
    answer = adapter_for("openai").embed(attempt(), CALL)
    assert (len(answer.vectors), answer.usage, answer.raw_usage) == (2, None, {})


def test_error_contains_no_text(sandbox: SandboxClient, attempt: Attempts) -> None:
    sandbox.behave(faults=[{"kind": "status", "status": 400}])
    error = failure_of(attempt(), EmbeddingCall(["plain", "a simulated fault is my secret"], timeout_s=10))
    assert "simulated fault" not in str(error)
    assert "simulated fault" in str(failure_of(attempt()))


def test_anthropic_has_no_embeddings_and_nothing_is_sent(sandbox: SandboxClient, attempt: Attempts) -> None:
    error = failure_of(attempt("anthropic"))
    assert (error.code, error.may_be_billed) == (ErrorCode.INVALID_REQUEST, False)


def test_request_has_the_attempt_id_and_the_texts() -> None:
    _, request = answered_with({"data": rows((0, ONE), (1, OTHER))})
    assert "x-attempt-id: " in request.lower() and "idempotency-key: " in request.lower()
    assert json.loads(request[request.index("{") :]) == {"input": TEXTS, "model": "m", "encoding_format": "float"}


@pytest.mark.parametrize("stream", [False, True, "yes", None])
def test_parameter_named_stream_is_passed_on_and_the_answer_is_read(stream: object) -> None:
    call = EmbeddingCall(TEXTS, timeout_s=10, parameters={"stream": stream})
    answer, request = answered_with({"data": rows((0, ONE), (1, OTHER))}, call)
    assert isinstance(answer, EmbeddingAnswer)
    assert json.loads(request[request.index("{") :])["stream"] == stream


def test_vectors_are_in_the_order_of_their_texts() -> None:
    answer, _ = answered_with({"data": rows((1, OTHER), (0, ONE))})
    assert isinstance(answer, EmbeddingAnswer)
    assert answer.vectors == [ONE, OTHER]


@pytest.mark.parametrize(
    "data",
    [
        rows((0, ONE)),
        rows((0, ONE), (0, OTHER)),
        rows((0, ONE), (1, OTHER), (2, ONE)),
        rows((0, ONE), (1, [])),
        rows((0, ONE), (1, "AACAPw==")),
        rows((0, ONE), (1, [float("nan"), 1.0])),
        None,
    ],
)
def test_invalid_vectors_are_an_error_that_may_be_billed(data: object) -> None:
    error, _ = answered_with({"data": data, "usage": {"prompt_tokens": 5, "total_tokens": 5}})
    assert isinstance(error, ProviderError)
    assert (error.code, error.may_be_billed) == (ErrorCode.UNREADABLE_ANSWER, True)


def test_incomplete_answer_reports_its_usage() -> None:
    error, _ = answered_with({"data": rows((0, ONE)), "usage": {"prompt_tokens": 5, "total_tokens": 5}})
    assert isinstance(error, ProviderError)
    assert error.usage == TokenUsage(input=5)

"""Unusual streams in OpenAI's dialect, as servers send them."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from aiinfra.providers.adapters.sse import ServerEvent, server_events
from aiinfra.providers.base import ChatAnswer, ErrorCode, ProviderAttempt, ProviderError
from tests.providers.fake_server import (
    BODY_BYTES,
    CALL,
    FakeServer,
    answer_of,
    error_of,
    fake_server,
    http,
    sse,
    stream_of,
)

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
DONE = b"data: [DONE]\n\n"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


def event(data: object) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def chunk(content: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    """A chunk in OpenAI's dialect."""
    delta = {} if content is None else {"content": content}
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})


def choice(**members: Any) -> bytes:
    return event({"choices": [members]})


def tool_chunk(*calls: dict[str, Any]) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"tool_calls": list(calls)}, "finish_reason": None}]})


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_events_do_not_depend_on_how_the_body_is_split(size: int, line_end: str) -> None:
    text = "\ufeff: hello\n\nevent: first\ndata: zwei é€😀\ndata:three\nid: 7\n\nretry: 5\n\ndata\n\n"
    body = text.replace("\n", line_end).encode()
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    assert list(server_events(pieces)) == [ServerEvent("first", "zwei é€😀\nthree"), ServerEvent("", "")]


def test_last_event_needs_no_blank_line() -> None:
    assert list(server_events([b"data: 1\n\nda", b"ta: 2"])) == [ServerEvent("", "1"), ServerEvent("", "2")]


def test_usage_is_always_requested(fake: FakeServer) -> None:
    answer_of(fake, chunk("hi", "stop"), DONE)
    assert fake.bodies[0]["stream"] is True
    assert fake.bodies[0]["stream_options"] == {"include_usage": True}
    assert fake.bodies[0]["max_tokens"] == CALL.max_tokens


def test_rejected_parameter_is_renamed_for_streams(fake: FakeServer) -> None:
    words = {"error": {"message": "Unsupported parameter: 'max_tokens'", "param": "max_tokens"}}
    fake.will_answer(http(words, 400), sse(chunk("hi", "stop"), DONE))
    _, outcome = stream_of(fake)
    assert isinstance(outcome, ChatAnswer)
    assert [body["stream"] for body in fake.bodies] == [True, True]
    assert fake.bodies[1]["max_completion_tokens"] == CALL.max_tokens


@pytest.mark.parametrize(
    "parts",
    {
        "usage chunk": [chunk("hi"), chunk(None, "stop"), event({"choices": [], "usage": USAGE}), DONE],
        "usage in every chunk": [
            chunk("h", usage={"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}),
            chunk("i", usage={"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}),
            chunk(None, "stop", usage=USAGE),
            DONE,
        ],
        "usage in the choice": [choice(delta={"content": "hi"}, finish_reason="stop", usage=USAGE)],
        "no [DONE]": [chunk("hi"), chunk(None, "stop", usage=USAGE)],
        "null usage around it": [chunk("hi", usage=None), chunk(None, "stop", usage=USAGE), chunk(usage=None)],
        "comments": [b": PROCESSING\n\n", chunk("hi"), b":\n", chunk(None, "stop", usage=USAGE), b": bye\n\n", DONE],
        "empty choices first": [event({"choices": [], "prompt_filter_results": []}), chunk("hi", "stop", usage=USAGE)],
        "no choices at all": [event({"id": "x"}), chunk("hi", "stop", usage=USAGE), DONE],
        "a whole message": [choice(message={"content": "hi"}, finish_reason="stop", usage=USAGE)],
        "data in two lines": [
            b'data: {"choices": [{"delta": {"content": "hi"},\ndata: "finish_reason": "stop"}],\ndata: "usage": '
            + json.dumps(USAGE).encode()
            + b"}\n\n"
        ],
    }.items(),
    ids=lambda named: named[0],
)
def test_answer_and_usage_are_read_from_every_format(fake: FakeServer, parts: tuple[str, list[bytes]]) -> None:
    answer = answer_of(fake, *parts[1])
    assert (answer.content, answer.finish_reason) == ("hi", "stop")
    assert answer.usage is not None
    assert (answer.usage.input, answer.usage.output) == (10, 5)


def test_tool_calls_are_assembled(fake: FakeServer) -> None:
    answer = answer_of(
        fake,
        tool_chunk({"index": 0, "id": "a", "type": "function", "function": {"name": "look", "arguments": ""}}),
        tool_chunk({"index": 0, "function": {"arguments": '{"x":'}}),
        tool_chunk({"index": 1, "id": "b", "type": "function", "function": {"name": "find", "arguments": "{"}}),
        tool_chunk({"index": 0, "function": {"arguments": "1}"}}, {"index": 1, "function": {"arguments": "}"}}),
        chunk(None, "tool_calls"),
        DONE,
    )
    functions = [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in answer.tool_calls]
    assert functions == [("a", "look", '{"x":1}'), ("b", "find", "{}")]


@pytest.mark.parametrize("index", [{}, {"index": 0}], ids=["no index", "one index for all"])
def test_tool_calls_with_one_index_are_distinguished_by_id(fake: FakeServer, index: dict[str, int]) -> None:
    answer = answer_of(
        fake,
        tool_chunk({**index, "id": "a", "function": {"name": "look", "arguments": "{}"}}),
        tool_chunk({**index, "id": "b", "function": {"name": "find", "arguments": "{}"}}),
        chunk(None, "tool_calls"),
    )
    assert [call["function"]["name"] for call in answer.tool_calls] == ["look", "find"]


def test_refusal_is_assembled(fake: FakeServer) -> None:
    parts = [event({"choices": [{"index": 0, "delta": {"refusal": word}}]}) for word in ("I ", "won't")]
    answer = answer_of(fake, *parts, chunk(None, "stop"))
    assert (answer.content, answer.refused) == ("I won't", True)


@pytest.mark.parametrize(
    ("parts", "code", "may_be_billed"),
    [
        ([event({"error": {"message": "bad", "code": 429}})], ErrorCode.RATE_LIMITED, False),
        ([chunk("hi"), event({"error": {"message": "bad", "code": 502}})], ErrorCode.SERVER_ERROR, True),
        ([chunk("hi"), event({"error": "bad"})], ErrorCode.SERVER_ERROR, True),
        ([chunk("hi")], ErrorCode.CONNECTION_ERROR, True),
        ([], ErrorCode.CONNECTION_ERROR, True),
        ([chunk("hi"), b"data: {broken\n\n", chunk(None, "stop")], ErrorCode.UNREADABLE_ANSWER, True),
        ([chunk("hi"), b"data: [1]\n\n"], ErrorCode.UNREADABLE_ANSWER, True),
        ([chunk("hi"), DONE], ErrorCode.EMPTY_ANSWER, True),
        ([chunk(None, "stop"), DONE], ErrorCode.EMPTY_ANSWER, True),
        ([chunk("hi", "error"), DONE], ErrorCode.EMPTY_ANSWER, True),
    ],
)
def test_broken_stream_is_an_error(fake: FakeServer, parts: list[bytes], code: ErrorCode, may_be_billed: bool) -> None:
    error = error_of(fake, *parts)
    assert (error.code, error.may_be_billed) == (code, may_be_billed)


def test_counts_before_the_end_are_kept_but_not_booked(fake: FakeServer) -> None:
    error = error_of(fake, chunk("hi", usage={"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}))
    assert error.usage is None
    assert error.raw_usage["completion_tokens"] == 1


def test_finished_answer_survives_a_broken_end_of_the_stream(fake: FakeServer) -> None:
    answer = answer_of(fake, chunk("hi"), chunk(None, "stop", usage=USAGE), b"data: {bro")
    assert answer.content == "hi"
    assert answer.usage is not None


def test_plain_answer_of_a_server_without_streaming_is_accepted(fake: FakeServer) -> None:
    body = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "usage": USAGE}
    fake.will_answer(http(body))
    events, outcome = stream_of(fake)
    assert events == []
    assert isinstance(outcome, ChatAnswer)
    assert outcome.content == "hi"


def test_answer_that_is_too_large_ends_the_stream(fake: FakeServer, settings: Settings) -> None:
    settings.PROVIDER_ANSWER_MAX_MIB = 1
    error = error_of(fake, *[chunk("x" * (BODY_BYTES // 4))] * 5)
    assert (error.code, error.may_be_billed) == (ErrorCode.ANSWER_TOO_LARGE, True)


def test_stream_framing_has_its_own_limit(fake: FakeServer) -> None:
    padding = [event({"choices": [], "padding": "x" * 1000})] * 2000
    assert answer_of(fake, *padding, chunk("hi", "stop")).content == "hi"
    assert error_of(fake, *padding * 9).code is ErrorCode.ANSWER_TOO_LARGE


def test_stream_errors_contain_neither_prompt_nor_key(fake: FakeServer) -> None:
    secret_call = replace(CALL, messages=[{"role": "user", "content": "The secret plan of the garden"}])
    error = {"message": "The secret plan of the garden sk-very-secret-key"}
    fake.will_answer(sse(chunk("hi"), event({"error": error})))
    attempt = ProviderAttempt(id=uuid.uuid4(), organization_id=1, provider="local", model="m")
    with pytest.raises(ProviderError) as caught:
        list(fake.adapter().stream(attempt, secret_call))
    assert "secret" not in caught.value.message

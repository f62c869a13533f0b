"""Streams in Anthropic's dialect."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aiinfra.providers.base import ErrorCode
from tests.providers.fake_server import FakeServer, answer_of, error_of, fake_server, streamed


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


def named(name: str, **data: Any) -> bytes:
    """An event in Anthropic's dialect."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


COUNTS = {"input_tokens": 10, "output_tokens": 1}
START = named("message_start", message={"role": "assistant", "content": [], "usage": COUNTS})
END = [
    named("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 5}),
    named("message_stop"),
]


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    return [
        named("content_block_start", index=index, content_block=start),
        *(named("content_block_delta", index=index, delta=delta) for delta in deltas),
        named("content_block_stop", index=index),
    ]


def test_message_is_assembled_from_its_events(fake: FakeServer) -> None:
    answer = answer_of(
        fake,
        START,
        named("ping"),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Hm"},
            {"type": "thinking_delta", "thinking": "m."},
            {"type": "signature_delta", "signature": "c2ln"},
        ),
        *block(
            1,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "Let "},
            {"type": "citations_delta", "citation": {"cited_text": "x"}},
            {"type": "text_delta", "text": "me."},
        ),
        *block(
            2,
            {"type": "tool_use", "id": "t", "name": "look", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"x": '},
            {"type": "input_json_delta", "partial_json": "1}"},
        ),
        named("something_new", data=1),
        *END,
        dialect="anthropic",
    )
    assert (answer.content, answer.finish_reason) == ("Let me.", "tool_calls")
    assert answer.parts == [{"type": "thinking", "thinking": "Hmm.", "signature": "c2ln"}]
    assert [json.loads(call["function"]["arguments"]) for call in answer.tool_calls] == [{"x": 1}]
    assert answer.usage is not None
    assert (answer.usage.input, answer.usage.output) == (10, 5)


def test_message_events_are_passed_on_unchanged(fake: FakeServer) -> None:
    parts = [START, *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "hi é"}), *END]
    events, _ = streamed(fake, *parts, dialect="anthropic")
    assert [f"event: {each.name}\ndata: {each.text}\n\n".encode() for each in events] == parts


HELLO = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "hi"})
BUSY = named("error", error={"type": "overloaded_error", "message": "busy"})


@pytest.mark.parametrize(
    ("parts", "code", "may_be_billed"),
    [
        ([BUSY], ErrorCode.SERVER_ERROR, False),
        ([START, *HELLO], ErrorCode.CONNECTION_ERROR, True),
        ([START, *HELLO, BUSY], ErrorCode.SERVER_ERROR, True),
    ],
)
def test_broken_message_is_an_error(fake: FakeServer, parts: list[bytes], code: ErrorCode, may_be_billed: bool) -> None:
    error = error_of(fake, *parts, dialect="anthropic")
    assert (error.code, error.may_be_billed, error.usage) == (code, may_be_billed, None)


def test_truncated_tool_input_stays_text(fake: FakeServer) -> None:
    tool = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    parts = block(0, tool, {"type": "input_json_delta", "partial_json": '{"x": '})
    end = named("message_delta", delta={"stop_reason": "max_tokens"}, usage={"output_tokens": 5})
    answer = answer_of(fake, START, *parts, end, dialect="anthropic")
    assert answer.tool_calls[0]["function"]["arguments"] == '{"x": '

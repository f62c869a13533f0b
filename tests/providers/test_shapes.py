"""Answers in every format that servers send, with the real adapters and client libraries."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aiinfra.providers.base import ChatAnswer, ErrorCode, ProviderAdapter, ProviderError, TokenUsage
from tests.providers.bodies import CALLS, completion, message, says, text
from tests.providers.fake_server import FakeServer, fake_server, http, outcome

COUNTED = TokenUsage(input=10, output=5)
UNREADABLE, EMPTY = ErrorCode.UNREADABLE_ANSWER, ErrorCode.EMPTY_ANSWER


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


@pytest.fixture(scope="module")
def openai(fake: FakeServer) -> ProviderAdapter:
    return fake.adapter()


@pytest.fixture(scope="module")
def anthropic(fake: FakeServer) -> ProviderAdapter:
    return fake.adapter("anthropic")


def answered(adapter: ProviderAdapter, fake: FakeServer, body: bytes | object) -> ChatAnswer:
    fake.will_answer(body if isinstance(body, bytes) else http(body))
    found = outcome(adapter)
    assert isinstance(found, ChatAnswer), found
    assert json.dumps([found.content, found.tool_calls, found.parts], ensure_ascii=False, allow_nan=False).encode()
    return found


def failed(adapter: ProviderAdapter, fake: FakeServer, body: bytes | object) -> ProviderError:
    fake.will_answer(body if isinstance(body, bytes) else http(body))
    found = outcome(adapter)
    assert isinstance(found, ProviderError), found
    return found


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (says("Hi."), "Hi."),
        (says([text("Hi "), text("there.")]), "Hi there."),
        (says(["Hi ", "there."]), "Hi there."),
        (says([{"type": "output_text", "text": "Hi."}]), "Hi."),
        (says([{"type": "text", "text": {"value": "Hi.", "annotations": []}}]), "Hi."),
        (says(text("Hi.")), "Hi."),
        (says([{"text": "Hi."}]), "Hi."),
        (says("nul \0 nul"), "nul \ufffd nul"),
        (says("half \ud800 a pair, \U0001f600 a whole one"), "half \ufffd a pair, \U0001f600 a whole one"),
        (says([text("nul \0")]), "nul \ufffd"),
        (http(b'{"choices":[{"message":{"content":"bad \xff utf8"},"finish_reason":"stop"}]}'), "bad \ufffd utf8"),
        (http(b'\xef\xbb\xbf{"choices":[{"message":{"content":"bom"},"finish_reason":"stop"}]}'), "bom"),
        (says("cut of", "length"), "cut of"),
        (says("", "length"), ""),
    ],
)
def test_text_is_read_from_every_format_and_cleaned(
    openai: ProviderAdapter, fake: FakeServer, body: object, content: str
) -> None:
    assert answered(openai, fake, body).content == content


def test_parts_other_than_text_are_kept(openai: ProviderAdapter, fake: FakeServer) -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "well \0"}], "n": 10**400, "x": [1.5]}
    found = answered(openai, fake, says([thinking, text("Hi.")]))
    kept = {"type": "thinking", "thinking": [{"type": "text", "text": "well \ufffd"}], "n": None, "x": [1.5]}
    assert (found.content, found.parts) == ("Hi.", [kept])


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": None, "tool_calls": CALLS}, CALLS),
        ({"content": "", "function_call": CALLS[0]["function"]}, [{**CALLS[0], "id": "call_0"}]),
        ({"tool_calls": [{"function": {"name": "add", "arguments": {"a": 1}}}]}, [{**CALLS[0], "id": "call_0"}]),
        ({"tool_calls": [None, 3, *CALLS]}, CALLS),
        ({"tool_calls": [{"id": 7, "function": {"name": "add", "arguments": '{"a": 1}'}}]}, [{**CALLS[0], "id": "7"}]),
        ({"tool_calls": [{**CALLS[0], "id": "c\0\ud8001"}]}, [{**CALLS[0], "id": "c\ufffd\ufffd1"}]),
    ],
)
def test_tool_calls_are_read_including_legacy_formats(
    openai: ProviderAdapter, fake: FakeServer, message: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    found = answered(openai, fake, completion(message, "function_call"))
    assert (found.tool_calls, found.finish_reason) == (expected, "tool_calls")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 5000, "-" + "9" * 5000])
def test_numbers_out_of_range_become_null(openai: ProviderAdapter, fake: FakeServer, number: str) -> None:
    raw = json.dumps(says([text("Hi."), {"type": "other", "n": "N"}])).replace('"N"', number)
    assert answered(openai, fake, http(raw)).parts == [{"type": "other", "n": None}]
    counts = json.dumps(says("Hi.")).replace(": 15", f": {number}")
    assert answered(openai, fake, http(counts)).content == "Hi."


@pytest.mark.parametrize("depth", [100, 100_000])
def test_deeply_nested_part_is_dropped(openai: ProviderAdapter, fake: FakeServer, depth: int) -> None:
    raw = json.dumps(says([text("Hi."), {"type": "deep", "x": "N"}])).replace('"N"', "[" * depth + "]" * depth)
    fake.will_answer(http(raw))
    found = outcome(openai)
    assert isinstance(found, ChatAnswer) or found.code is UNREADABLE


@pytest.mark.parametrize(
    "body",
    [
        http(b""),
        http(b"null"),
        http(b"<html>"),
        http(b'{"choices":'),
        http([says("Hi.")]),
        {},
        {"choices": []},
        {"choices": None},
        {"choices": [None]},
        {"choices": {"0": {}}},
        {"choices": [{"finish_reason": "stop"}]},
        {"choices": [{"message": "Hi.", "finish_reason": "stop"}]},
        says(42),
        says([42]),
        says([["Hi."]]),
        http(b'data: {"choices":[{"delta":{"content":"Hi."}}]}\n\ndata: [DONE]\n\n'),
        http(b"not gzip", Content_Encoding="gzip"),
        http("[" * 1_000_000),
    ],
)
def test_unreadable_success_is_retried(openai: ProviderAdapter, fake: FakeServer, body: object) -> None:
    error = failed(openai, fake, body)
    assert (error.code, error.may_be_billed, error.retryable) == (UNREADABLE, True, True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "stop"),
        (None, "stop"),
        (" \n\t", "stop"),
        ("\0\0", "stop"),
        ([], "stop"),
        ([{"type": "thinking", "thinking": "hm"}], "stop"),
        ("", "tool_calls"),
        ("", "weird"),
        ("Hi.", None),
        ("Hi.", ""),
        ("Hi.", 7),
        ("Hi.", "error"),
        ("Hi.", "ERROR"),
        ("Hi.", "internal_error"),
        ("Hi.", "insufficient_system_resource"),
        ("Hi.", "cancelled"),
        ("Hi.", "aborted"),
        ("Hi.", "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_empty_answer_is_a_failure_with_its_usage(
    openai: ProviderAdapter, fake: FakeServer, content: object, reason: object
) -> None:
    error = failed(openai, fake, says(content, reason))
    assert (error.code, error.usage, error.may_be_billed, error.retryable) == (EMPTY, COUNTED, True, True)


@pytest.mark.parametrize(
    ("raw", "finish_reason"),
    [
        ("STOP", "stop"),
        ("eos_token", "stop"),
        ("end_turn", "stop"),
        ("MAX_TOKENS", "length"),
        ("COMPLETE", "stop"),
        ("max_output_tokens", "length"),
        ("tool-calls", "tool_calls"),
        ("other", "other"),
    ],
)
def test_finish_reasons_of_other_servers_are_recognized(
    openai: ProviderAdapter, fake: FakeServer, raw: str, finish_reason: str
) -> None:
    assert answered(openai, fake, says("Hi.", raw)).finish_reason == finish_reason


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "refusal": "I can't help with that."},
        {"content": [{"type": "refusal", "refusal": "I can't help with that."}]},
    ],
)
def test_refusal_is_an_answer(openai: ProviderAdapter, fake: FakeServer, message: dict[str, Any]) -> None:
    found = answered(openai, fake, completion(message))
    assert (found.content, found.refused) == ("I can't help with that.", True)
    assert not answered(openai, fake, completion({"content": "Sure.", "refusal": None})).refused


@pytest.mark.parametrize(
    "reason", ["content_filter", "content-filter", "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "guardrail_intervened"]
)
def test_filtered_answer_without_content_is_a_content_filter_error(
    openai: ProviderAdapter, fake: FakeServer, reason: str
) -> None:
    error = failed(openai, fake, says("", reason))
    assert (error.code, error.usage) == (ErrorCode.CONTENT_FILTERED, COUNTED)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "out of capacity", "type": "server_error"}},
        {"error": "out of capacity"},
        {**says("Hi."), "error": {"message": "out of capacity"}},
        {"choices": [{"error": {"message": "out of capacity"}, "message": {"content": ""}, "finish_reason": "error"}]},
        {"object": "error", "message": "out of capacity", "code": 40303},
        {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "out of capacity"}},
        {"error_code": 336100, "error_msg": "out of capacity"},
        {"detail": "out of capacity"},
        {"success": False, "errors": [{"code": 7000, "message": "out of capacity"}], "result": None},
    ],
)
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_error_in_a_successful_response_keeps_the_providers_message(
    request: pytest.FixtureRequest, fake: FakeServer, body: dict[str, Any], dialect: str
) -> None:
    if dialect == "anthropic" and body.get("choices") and "error" not in body:
        body = {"type": "error", **body["choices"][0]}
    error = failed(request.getfixturevalue(dialect), fake, body)
    assert error.code is ErrorCode.SERVER_ERROR
    assert "out of capacity" in error.message


def test_ids_from_headers_are_cleaned(openai: ProviderAdapter, anthropic: ProviderAdapter, fake: FakeServer) -> None:
    assert answered(openai, fake, http(says("Hi."), X_Request_Id="r\x85\xff1")).provider_request_id == "r ÿ1"
    long = answered(anthropic, fake, http(message([text("Hi.")]), Request_Id="r" * 5000))
    assert len(long.provider_request_id) == 200


@pytest.mark.parametrize("words", ["nul \0 nul", "half \ud800 a pair", "\x1b[31mred"])
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_error_texts_are_cleaned_and_refusals_are_not_billed(
    request: pytest.FixtureRequest, fake: FakeServer, words: str, dialect: str
) -> None:
    error = failed(request.getfixturevalue(dialect), fake, http({"error": {"message": words, "type": "x"}}, 400))
    assert (error.code, error.may_be_billed) == (ErrorCode.INVALID_REQUEST, False)
    assert error.message.isprintable()


def test_message_blocks_are_read_and_cleaned(anthropic: ProviderAdapter, fake: FakeServer) -> None:
    thinking = {"type": "thinking", "thinking": "hm \0", "signature": "s"}
    use = {"type": "tool_use", "id": "t\0" + "1" * 500, "name": "add", "input": {"a\0": "\ud800"}}
    found = answered(anthropic, fake, message([thinking, text("Hi\0"), text("."), use], "tool_use"))
    assert (found.content, found.finish_reason) == ("Hi\ufffd.", "tool_calls")
    assert found.parts == [{**thinking, "thinking": "hm \ufffd"}]
    [call] = found.tool_calls
    assert json.loads(call["function"]["arguments"]) == {"a\ufffd": "\ufffd"}
    assert (len(call["id"]), call["id"][:3]) == (128, "t\ufffd1")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (http(b"<html>"), UNREADABLE),
        ({"content": "Hi.", "stop_reason": "end_turn"}, UNREADABLE),
        ({"content": ["Hi."], "stop_reason": "end_turn"}, UNREADABLE),
        (message([], "end_turn"), EMPTY),
        (message([text("")], "end_turn"), EMPTY),
        (message([text("Hi.")], None), EMPTY),
        (message([], "refusal"), ErrorCode.CONTENT_FILTERED),
        (message([], "pause_turn"), EMPTY),
    ],
)
def test_messages_without_an_answer_are_failures(
    anthropic: ProviderAdapter, fake: FakeServer, body: object, code: ErrorCode
) -> None:
    assert failed(anthropic, fake, body).code is code


def test_declined_message_is_a_refusal(anthropic: ProviderAdapter, fake: FakeServer) -> None:
    found = answered(anthropic, fake, message([text("No.")], "refusal"))
    assert (found.refused, found.finish_reason) == (True, "content_filter")

"""Streamed answers in each endpoint's dialect, compared with the same answer in one piece."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from aiinfra.failures import ApiError
from aiinfra.gateway.v1.anthropic_message import message_from
from aiinfra.gateway.v1.anthropic_stream import MessageStream
from aiinfra.gateway.v1.openai_chat_stream import DONE, ChatStream
from aiinfra.gateway.v1.openai_completion import completion_of
from aiinfra.gateway.v1.openai_response import response_of
from aiinfra.gateway.v1.responses_stream import ResponseStream
from aiinfra.gateway.v1.responses_tools import Tools
from aiinfra.gateway.v1.streaming import StreamDialect
from aiinfra.providers.adapters import anthropic_messages, openai_answer
from aiinfra.providers.adapters.merging import MergedBody, MergedChunks, MergedMessage
from aiinfra.providers.base import ChatAnswer, StreamEvent
from cost_app.models import Attempt
from queue_app.caching.cache_answer import response_of as stored
from queue_app.models import AIRequest, Status
from queue_app.queries import RequestStatus

THINKING = {"type": "thinking", "thinking": "", "signature": ""}
BLOCKS: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    (
        THINKING,
        [
            {"type": "thinking_delta", "thinking": "Let me "},
            {"type": "thinking_delta", "thinking": "see."},
            {"type": "signature_delta", "signature": "c2ln"},
        ],
    ),
    ({"type": "redacted_thinking", "data": "eHl6"}, []),
    (
        {"type": "text", "text": ""},
        [{"type": "text_delta", "text": "Plan "}, {"type": "text_delta", "text": "it \ud83c"}],
    ),
    (
        {"type": "tool_use", "id": "t1", "name": "add", "input": {}},
        [{"type": "input_json_delta", "partial_json": part} for part in ("", '{"a"', ": 1}")],
    ),
    ({"type": "tool_use", "id": "t2", "name": "now", "input": {}}, []),
]
USAGE = {"input_tokens": 10, "output_tokens": 20}


def anthropic_events() -> list[StreamEvent]:
    message = {"id": "theirs", "type": "message", "role": "assistant", "model": "dated", "content": [], "usage": USAGE}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    for index, (block, deltas) in enumerate(BLOCKS):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": "tool_use", "stop_sequence": None}
    events += [{"type": "message_delta", "delta": stop, "usage": USAGE}, {"type": "message_stop"}]
    return [StreamEvent(event["type"], json.dumps(event), event) for event in events]


def openai_events() -> list[StreamEvent]:
    """Reasoning, text, and two tool calls with the same index, as some servers send them."""
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": None, "reasoning_content": "Let me "},
        {"reasoning_content": "see."},
        {"content": "Plan "},
        {"content": "it."},
        *(
            {
                "tool_calls": [
                    {"index": 0, "id": name, "type": "function", "function": {"name": name, "arguments": "{}"}}
                ]
            }
            for name in ("add", "now")
        ),
    ]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return [StreamEvent("", json.dumps(chunk), chunk) for chunk in chunks]


def anthropic_answer() -> ChatAnswer:
    return anthropic_messages._answer(_merged(MergedMessage(), anthropic_events()), httpx2.Headers(), [], "")


def openai_answer_() -> ChatAnswer:
    return openai_answer.answer_in(_merged(MergedChunks(), openai_events()), httpx2.Headers(), [], "")


def _merged(body: MergedBody, events: list[StreamEvent]) -> dict[str, Any]:
    for event in events:
        body.add(event)
    return body.body()


PROVIDERS = {"anthropic": (anthropic_events, anthropic_answer), "openai": (openai_events, openai_answer_)}


def status_with(answer: ChatAnswer, provider: str) -> RequestStatus:
    request = AIRequest(
        provider=provider, model="m", status=Status.COMPLETED, created_at=datetime(2026, 1, 2, tzinfo=UTC)
    )
    attempt = Attempt(provider=provider, model="m", state="settled", input_tokens=10, output_tokens=20)
    return RequestStatus(request, [attempt], response=stored(answer))


def streamed(dialect: StreamDialect, provider: str) -> tuple[list[StreamEvent], RequestStatus]:
    """The parsed events of a live answer, and the status with the same stored answer."""
    events, answer = PROVIDERS[provider]
    status = status_with(answer(), provider)
    live = dialect.live(status.request, provider, "m")
    sent = b"".join(map(live.pass_on, events())) + live.end(status)
    return parsed(sent), status


def parsed(sent: bytes) -> list[StreamEvent]:
    found = []
    for text in sent.removesuffix(DONE).decode().split("\n\n")[:-1]:
        name, _, data = text.rpartition("data: ")
        found.append(StreamEvent(name.removeprefix("event: ").strip(), data, json.loads(data)))
    return found


@pytest.mark.parametrize("provider", PROVIDERS)
def test_chat_chunks_merge_to_the_whole_message(provider: str) -> None:
    events, status = streamed(ChatStream(with_usage=True), provider)
    whole = completion_of(status)
    merged = _merged(MergedChunks(), events)
    [choice] = merged["choices"]
    message = choice["message"]
    calls = [{name: value for name, value in call.items() if name != "index"} for call in message.pop("tool_calls")]
    expected = {name: value for name, value in whole["choices"][0]["message"].items() if value is not None}
    assert calls == expected.pop("tool_calls")
    assert _clean(message) == expected
    assert choice["finish_reason"] == whole["choices"][0]["finish_reason"] == "tool_calls"
    assert {merged[name] for name in ("id", "model")} == {whole["id"], "m"}
    assert (events[-1].data["choices"], merged["usage"]) == ([], whole["usage"])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_message_events_merge_to_the_whole_message(provider: str) -> None:
    events, status = streamed(MessageStream(None), provider)
    merged = _clean(_merged(MergedMessage(), events))
    whole = message_from(status)
    assert merged["content"] == whole["content"]
    assert {name: merged[name] for name in ("id", "model", "stop_reason")} == {
        name: whole[name] for name in ("id", "model", "stop_reason")
    }
    assert [event.name for event in (events[0], events[-1])] == ["message_start", "message_stop"]
    assert all(event.name == event.data["type"] for event in events)
    assert merged["usage"].items() >= USAGE.items()


def test_anthropics_own_events_are_passed_on_unchanged() -> None:
    events, _ = streamed(MessageStream(None), "anthropic")
    assert [event.data for event in events[1:]] == [event.data for event in anthropic_events()[1:]]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_response_items_match_the_whole_response(provider: str) -> None:
    events, status = streamed(ResponseStream({}, Tools(())), provider)
    whole = response_of(status, {}, Tools(()))
    last = _clean(events[-1].data["response"])
    assert last == whole
    assert [event.data["sequence_number"] for event in events] == list(range(len(events)))
    assert [event.name for event in events[:2]] == ["response.created", "response.in_progress"]
    done = [_clean(event.data["item"]) for event in events if event.name == "response.output_item.done"]
    assert done == whole["output"]
    texts: dict[str, str] = {}
    for event in events:
        if event.name.endswith(".delta"):
            texts[event.data["item_id"]] = texts.get(event.data["item_id"], "") + event.data["delta"]
    assert {item["id"]: _clean(texts[item["id"]]) for item in whole["output"]} == {
        item["id"]: _text_of(item) for item in whole["output"]
    }


def _text_of(item: dict[str, Any]) -> str:
    part = (item.get("content") or item.get("summary") or [{}])[0]
    return str(item.get("arguments") or part.get("text"))


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", [ChatStream(with_usage=False), MessageStream(None)])
def test_whole_answer_is_streamed_with_the_same_content(dialect: StreamDialect, provider: str) -> None:
    live, status = streamed(dialect, provider)
    whole = parsed(dialect.whole(status))
    merge = MergedMessage if isinstance(dialect, MessageStream) else MergedChunks
    bodies = [_clean(_merged(merge(), events)) for events in (whole, live)]
    choices = [body.get("content") or body["choices"][0]["message"]["content"] for body in bodies]
    assert choices[0] == choices[1]


def test_whole_response_has_the_full_sequence_of_events() -> None:
    live, status = streamed(ResponseStream({}, Tools(())), "openai")
    whole = parsed(ResponseStream({}, Tools(())).whole(status))
    without_repeats = [event.name for number, event in enumerate(live) if event.name != live[number - 1].name]
    assert [event.name for event in whole] == without_repeats


def test_empty_answer_is_an_empty_message() -> None:
    status = status_with(ChatAnswer("", "length", None), "openai")
    live = ResponseStream({}, Tools(())).live(status.request, "openai", "m")
    events = parsed(live.pass_on(StreamEvent("", "", {"choices": []})) + live.end(status))
    assert events[-1].data["response"] == response_of(status, {}, Tools(()))
    assert events[-1].name == "response.incomplete"


@pytest.mark.parametrize(
    ("dialect", "name", "path", "code"),
    [
        (ChatStream(with_usage=False), "", ("error", "code"), "provider_error"),
        (MessageStream("r1"), "error", ("error", "type"), "api_error"),
        (ResponseStream({}, Tools(())), "response.failed", ("response", "error", "code"), "provider_error"),
    ],
)
def test_error_is_one_event_in_the_dialect(dialect: StreamDialect, name: str, path: tuple[str, ...], code: str) -> None:
    request = status_with(ChatAnswer("", "length", None), "openai").request
    [event] = parsed(dialect.error(ApiError(502, "provider_error", "It broke."), request))
    value: Any = event.data
    for member in path:
        value = value[member]
    assert (event.name, value) == (name, code)
    assert "It broke." in event.text


def _clean(value: Any) -> Any:
    """Like stored answers, which cannot contain half a surrogate pair."""
    return json.loads(json.dumps(value).replace("\\ud83c", "\ufffd"))

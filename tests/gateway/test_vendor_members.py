"""Members of an answer that aiinfra doesn't use reach clients of the provider's dialect, streamed or not."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from aiinfra.gateway.v1.anthropic_message import message_from
from aiinfra.gateway.v1.openai_chat_stream import ChatStream
from aiinfra.gateway.v1.openai_completion import completion_of
from aiinfra.gateway.v1.openai_response import response_of
from aiinfra.gateway.v1.responses_tools import Tools
from aiinfra.providers.adapters import anthropic_messages, openai_answer
from aiinfra.providers.adapters.merging import MergedChunks, MergedMessage
from aiinfra.providers.base import ChatAnswer, StreamEvent
from cost_app.models import Attempt
from queue_app.caching.cache_answer import response_of as stored
from queue_app.models import AIRequest, Status
from queue_app.queries import RequestStatus

ANTHROPIC_USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 7,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3},
    "output_tokens": 20,
    "output_tokens_details": {"thinking_tokens": 5},
    "service_tier": "standard",
}
OF_MESSAGE = {"context_management": {"applied_edits": [{"type": "clear_tool_uses_20250919"}]}, "container": None}
MESSAGE = {
    "id": "msg_theirs",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "Hi."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": ANTHROPIC_USAGE,
    **OF_MESSAGE,
}
OPENAI_USAGE = {
    "prompt_tokens": 17,
    "completion_tokens": 20,
    "total_tokens": 37,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 5, "accepted_prediction_tokens": 2},
    "prompt_cache_hit_tokens": 0,
}
OF_CHOICE = {"content_filter_results": {"hate": {"filtered": False}}, "stop_reason": 128}
OF_COMPLETION = {"citations": ["https://example.com"], "prompt_filter_results": [{"prompt_index": 0}]}
COMPLETION = {
    "id": "chatcmpl-theirs",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt",
    "service_tier": "flex",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop", **OF_CHOICE}],
    "usage": OPENAI_USAGE,
    **OF_COMPLETION,
}


def status_with(answer: ChatAnswer, provider: str) -> RequestStatus:
    request = AIRequest(
        provider=provider, model="m", status=Status.COMPLETED, created_at=datetime(2026, 1, 2, tzinfo=UTC)
    )
    assert answer.usage is not None
    counts = {"input_tokens": answer.usage.input, "output_tokens": answer.usage.output}
    written = {"cache_write_tokens": 7, "cache_write_1h_tokens": 3} if provider == "anthropic" else {}
    attempt = Attempt(
        provider=provider,
        model="m",
        state="settled",
        raw_usage=answer.raw_usage,
        reasoning_tokens=5,
        **counts,
        **written,
    )
    return RequestStatus(request, [attempt], response=stored(answer))


def answered(body: dict[str, Any], provider: str) -> RequestStatus:
    read = anthropic_messages._answer if provider == "anthropic" else openai_answer.answer_in
    return status_with(read(body, httpx2.Headers(), [], ""), provider)


def test_message_keeps_the_members_of_anthropics_answer() -> None:
    message = message_from(answered(MESSAGE, "anthropic"))
    ours = {"id": message["id"], "model": "m"}
    assert message == {
        **{name: value for name, value in MESSAGE.items() if value is not None},
        "stop_sequence": None,
        **ours,
    }


def test_completion_keeps_the_members_of_the_providers_answer() -> None:
    completion = completion_of(answered(COMPLETION, "openai"))
    assert {name: completion[name] for name in (*OF_COMPLETION, "service_tier")} == {
        **OF_COMPLETION,
        "service_tier": "flex",
    }
    assert completion["choices"][0].items() >= OF_CHOICE.items()
    assert completion["usage"] == {
        **OPENAI_USAGE,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0},
    }
    assert (completion["object"], completion["model"], completion["id"][:9]) == ("chat.completion", "m", "chatcmpl-")


def test_streamed_answer_keeps_them_for_those_who_get_it_whole() -> None:
    start = {
        "type": "message_start",
        "message": {**MESSAGE, "content": [], "stop_reason": None, **dict.fromkeys(OF_MESSAGE)},
    }
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hi."}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": ANTHROPIC_USAGE, **OF_MESSAGE}
    merged = MergedMessage()
    for data in (start, block, end):
        merged.add(StreamEvent(str(data["type"]), "", data))
    message = message_from(answered(merged.body(), "anthropic"))
    assert message["context_management"] == OF_MESSAGE["context_management"]

    chunks = MergedChunks()
    delta = {"index": 0, "delta": {"role": "assistant", "content": "Hi."}, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": "stop", **OF_CHOICE}
    for choices in ([delta], [last], []):
        chunk = {"id": "x", "choices": choices, "obfuscation": "aB3", **OF_COMPLETION, "usage": OPENAI_USAGE}
        chunks.add(StreamEvent("", "", chunk))
    completion = completion_of(answered(chunks.body(), "openai"))
    assert completion["choices"][0].items() >= OF_CHOICE.items()
    assert completion.items() >= OF_COMPLETION.items()
    assert "obfuscation" not in completion


def test_usage_of_a_stream_has_the_providers_further_counts() -> None:
    status = answered(COMPLETION, "openai")
    sent = ChatStream(with_usage=True).live(status.request, "openai", "m").end(status).decode()
    [usage] = [json.loads(line[6:])["usage"] for line in sent.split("\n") if '"usage"' in line]
    assert usage == completion_of(status)["usage"]


@pytest.mark.parametrize(
    ("provider", "body", "shown"), [("openai", COMPLETION, message_from), ("anthropic", MESSAGE, completion_of)]
)
def test_other_dialects_get_only_what_can_be_translated(provider: str, body: dict[str, Any], shown: Any) -> None:
    there = shown(answered(body, provider))
    assert not {*OF_COMPLETION, *OF_MESSAGE, "service_tier"} & there.keys()
    assert not {"cache_creation", "prompt_cache_hit_tokens", "service_tier"} & there["usage"].keys()


def test_response_counts_written_tokens() -> None:
    details = response_of(answered(MESSAGE, "anthropic"), {}, Tools(()))["usage"]["input_tokens_details"]
    assert details == {"cached_tokens": 0, "cache_write_tokens": 7}

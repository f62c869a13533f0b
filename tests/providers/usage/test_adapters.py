"""Answers with every usage format, through the real adapters."""

import json
import uuid
from typing import Any

import httpx2
import pytest

from aiinfra.providers.adapters.anthropic_messages import AnthropicAdapter
from aiinfra.providers.adapters.openai_compatible import OpenAICompatibleAdapter
from aiinfra.providers.base import (
    ChatAnswer,
    ChatCall,
    EmbeddingCall,
    ErrorCode,
    ProviderAttempt,
    ProviderError,
    TokenUsage,
)
from aiinfra.providers.registry import Provider
from tests.providers.usage.shape import PLAIN, Shape, chat
from tests.providers.usage.shapes import SHAPES

# JSON has no infinity: the reader turns it into null.
AS_JSON = [shape for shape in SHAPES if shape.name != "infinite"]
CALL = ChatCall(messages=[{"role": "user", "content": "Hello?"}], max_tokens=100, timeout_s=10)
ANSWERED = {"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}]}
FILTERED = {"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]}
MESSAGE = {"content": [{"type": "text", "text": "Hello."}], "stop_reason": "end_turn"}
COUNTS = {"input_tokens": 20, "output_tokens": 10}


def client(body: dict[str, Any]) -> httpx2.Client:
    text = json.dumps({"id": "1", "object": "chat.completion", **body})
    return httpx2.Client(transport=httpx2.MockTransport(lambda _request: httpx2.Response(200, text=text)))


def attempt() -> ProviderAttempt:
    return ProviderAttempt(uuid.uuid4(), 1, "fake", "m1")


FAKE = Provider("fake", "http://fake.test/v1", "k", is_named_by_operator=True)


def answer_of(body: dict[str, Any]) -> ChatAnswer:
    return OpenAICompatibleAdapter(FAKE, client(body)).chat(attempt(), CALL)


def message_of(body: dict[str, Any]) -> ChatAnswer:
    return AnthropicAdapter(FAKE, client({"type": "message", "role": "assistant", **body})).chat(attempt(), CALL)


@pytest.mark.parametrize("shape", AS_JSON, ids=lambda shape: shape.name)
def test_chat_answer_has_the_usage_of_its_format(shape: Shape) -> None:
    answer = answer_of({**ANSWERED, "usage": shape.raw})
    assert answer.content == "Hello."
    assert answer.usage == shape.usage
    assert bool(answer.raw_usage) == (shape.raw is not None and shape.raw != {})


def test_openai_tier_beside_the_usage_is_read_and_kept() -> None:
    answer = answer_of({**ANSWERED, "usage": chat(), "service_tier": "flex"})
    assert answer.usage == TokenUsage(20, output=10, tier="flex")
    assert answer.raw_usage == {**chat(), "service_tier": "flex"}


@pytest.mark.parametrize("counts", [{"cache_creation": None}, {"service_tier": "standard"}, {"server_tool_use": None}])
def test_anthropic_message_has_its_counts(counts: dict[str, Any]) -> None:
    answer = message_of({**MESSAGE, "usage": {**COUNTS, **counts}})
    assert (answer.usage, answer.raw_usage) == (PLAIN, {**COUNTS, **counts})


def test_anthropic_message_has_its_tier_tools_and_1_hour_writes() -> None:
    written = {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 5}
    beside = {"service_tier": "priority", "server_tool_use": {"web_search_requests": 2}}
    answer = message_of({**MESSAGE, "usage": {**COUNTS, "cache_creation": written, **beside}})
    assert answer.usage == TokenUsage(
        20, cache_write=3, output=10, cache_write_1h=5, tool_uses={"web_search": 2}, tier="priority"
    )


def test_text_without_output_tokens_is_rejected() -> None:
    assert message_of({**MESSAGE, "usage": {"input_tokens": 20, "output_tokens": 0}}).usage is None


def test_filtered_answer_may_have_no_output_and_is_billed() -> None:
    raw = chat(completion_tokens=0, total_tokens=20)
    with pytest.raises(ProviderError) as caught:
        answer_of({**FILTERED, "usage": raw})
    assert (caught.value.code, caught.value.usage) == (ErrorCode.CONTENT_FILTERED, TokenUsage(input=20))
    assert caught.value.raw_usage == raw


@pytest.mark.parametrize(
    ("ask", "body"),
    [
        (answer_of, {"choices": [], "usage": chat()}),
        (message_of, {"content": None, "usage": COUNTS}),
    ],
    ids=["OpenAI", "Anthropic"],
)
def test_missing_answer_is_billed_by_its_usage(ask: Any, body: dict[str, Any]) -> None:
    with pytest.raises(ProviderError) as caught:
        ask(body)
    assert (caught.value.may_be_billed, caught.value.usage, caught.value.raw_usage) == (True, PLAIN, body["usage"])


@pytest.mark.parametrize(
    "raw", [None, {"prompt_tokens": 0, "total_tokens": 0}, {"prompt_tokens": 5, "total_tokens": 6}]
)
def test_embeddings_without_usable_counts_keep_the_raw_usage(raw: Any) -> None:
    body = {"data": [{"index": 0, "embedding": [1.0]}], "usage": raw}
    answer = OpenAICompatibleAdapter(FAKE, client(body)).embed(attempt(), EmbeddingCall(["Hello?"], 10))
    assert (answer.usage, answer.raw_usage) == (None, raw or {})

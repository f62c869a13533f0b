"""Thousands of generated answers and errors: the readers raise nothing but ProviderError."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from aiinfra.providers.adapters import anthropic_messages, errors
from aiinfra.providers.adapters.openai_answer import chat_answer, read_object
from aiinfra.providers.base import ChatAnswer, ProviderError

CASES = 5_000
"""Per kind; there are four kinds."""
MESSAGES = [{"role": "user", "content": "the merger with Initech is off"}]
NAMES = (
    *("choices", "message", "content", "finish_reason", "usage", "error", "tool_calls", "function_call", "function"),
    *("arguments", "id", "type", "text", "value", "refusal", "stop_reason", "input", "name", "code", "status", "param"),
    *("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "detail", "", "\0", "\ud800"),
)
WORDS = (
    "text",
    "stop",
    "tool_use",
    "error",
    "refusal",
    "",
    "\0",
    "\ud800",
    "x" * 500,
    "429",
    "\u2028",
    "é",
    "max_tokens",
)
NUMBERS = (0, -1, 1.5, 10**18, 10**400, float("nan"), float("inf"), 1e308, True, None)


def random_tree(rng: random.Random, depth: int = 0) -> Any:
    """A random tree of the names and words that readers look for, in wrong places."""
    kind = rng.random() + depth * 0.12
    if kind < 0.5:
        return {rng.choice(NAMES): random_tree(rng, depth + 1) for _ in range(rng.randrange(5))}
    if kind < 0.75:
        return [random_tree(rng, depth + 1) for _ in range(rng.randrange(4))]
    return rng.choice(WORDS) if rng.random() < 0.7 else rng.choice(NUMBERS)


def almost_valid_answer(rng: random.Random) -> Any:
    """An answer in both dialects with some fields replaced."""
    body: dict[str, Any] = {
        "choices": [{"message": {"content": "Hi.", "tool_calls": []}, "finish_reason": "stop"}],
        "content": [{"type": "text", "text": "Hi."}],
        "stop_reason": "end_turn",
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "input_tokens": 1, "output_tokens": 1},
    }
    for place in (body, body["usage"], body["content"][0], body["choices"][0], body["choices"][0]["message"]):
        if rng.random() < 0.3:
            place[rng.choice(NAMES)] = random_tree(rng, 2)
    return body


def encoded_tree(rng: random.Random) -> bytes:
    """A generated tree as bytes. Some are truncated or have one byte changed."""
    body = bytearray(json.dumps(rng.choice((random_tree, almost_valid_answer))(rng)).encode())
    if rng.random() < 0.15:
        del body[rng.randrange(len(body) + 1) :]
    elif rng.random() < 0.15:
        body[rng.randrange(len(body))] = rng.randrange(256)
    return bytes(body)


def assert_storable(words: object) -> None:
    """Assert that both databases can store it, and that it can be encoded as UTF-8 and JSON."""
    text = json.dumps(words, ensure_ascii=False, allow_nan=False)
    assert text.encode()
    assert "\\u0000" not in text


def openai_reader(body: bytes) -> ChatAnswer:
    return chat_answer(httpx2.Response(200, content=body), MESSAGES, "key")


def anthropic_reader(body: bytes) -> ChatAnswer:
    return anthropic_messages._answer(
        read_object(httpx2.Response(200, content=body)), httpx2.Headers(), MESSAGES, "key"
    )


@pytest.mark.parametrize("read", [openai_reader, anthropic_reader])
def test_answer_is_storable_or_a_provider_error(read: Callable[[bytes], ChatAnswer]) -> None:
    rng, answers = random.Random(4711), 0
    for _ in range(CASES):
        body = encoded_tree(rng)
        try:
            answer = read(body)
        except ProviderError as error:
            assert_storable(error.message)
            assert len(error.message) <= errors.MESSAGE_LENGTH
        else:
            answers += 1
            assert_storable([answer.content, answer.finish_reason, answer.tool_calls, answer.parts, answer.raw_usage])
            assert_storable(answer.provider_request_id)
    assert answers > CASES / 20


@dataclass
class Raised:
    """The interface of both libraries' status errors."""

    status_code: int
    body: object
    response: httpx2.Response


@pytest.mark.parametrize("unwrapped", [True, False])
def test_error_of_any_shape_is_a_storable_provider_error(unwrapped: bool) -> None:
    rng = random.Random(4712)
    for _ in range(CASES):
        tree, status = random_tree(rng), rng.choice((400, 404, 409, 413, 422, 429, 500, 529, 302, 600))
        body = tree if unwrapped else {"error": tree}
        waits = rng.choice(WORDS).encode("utf-8", "replace").replace(b"\0", b"0")
        response = httpx2.Response(status, headers=[(b"retry-after", waits)])
        error = errors.status_error(Raised(status, body, response), MESSAGES, "key")
        assert_storable([error.message, errors.words_of(body)])
        assert len(error.message) <= errors.MESSAGE_LENGTH
        assert not error.may_be_billed
        assert error.retry_after_s is None or 0 <= error.retry_after_s <= 300

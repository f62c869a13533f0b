"""Random error bodies, 20,000 in a deep run: an error's text never contains a key or a prompt."""

import random
from typing import Any

import anthropic
import httpx2
import openai

from aiinfra.providers.adapters import errors
from aiinfra.providers.base import HANDLING
from tests.support.examples import examples

BODIES = examples(2_000, 20_000)
KEY = "sk-secret-key"
QUESTION = "What is the plan for the garden behind the house?"
LONGEST = 2_000
STATUSES = (
    400,
    401,
    402,
    403,
    404,
    408,
    409,
    410,
    413,
    418,
    422,
    424,
    425,
    429,
    451,
    498,
    499,
    500,
    502,
    503,
    529,
    599,
)
PAUSES = ("1", "-1", "1e9", "x", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 40, "0.5", "NaN", "1h", "")
NAMES = ("error", "message", "code", "type", "param", "detail", "errors", "status", "reason", "fault", "msg", "__type")
LEAVES: tuple[Any, ...] = (
    *(None, True, -1, 0.5, float("inf"), 10**40, "", "x" * 5_000, "a\0b", "\ud800", [], {}),
    *("context_length_exceeded", "model_not_found", "insufficient_quota", "rate limit", f"bad key {KEY}", QUESTION),
)


def _body(source: random.Random, depth: int = 0) -> Any:
    kind = source.random()
    if depth > 3 or kind < 0.3:
        return source.choice(LEAVES)
    if kind < 0.5:
        return [_body(source, depth + 1) for _ in range(source.randrange(3))]
    return {source.choice(NAMES): _body(source, depth + 1) for _ in range(source.randrange(5))}


def test_no_error_body_breaks_the_reader_or_leaks() -> None:
    source, request = random.Random(11), httpx2.Request("POST", "http://provider.test/v1")
    messages = [{"role": "user", "content": QUESTION}]
    for _ in range(BODIES):
        status, body = source.choice(STATUSES), _body(source)
        response = httpx2.Response(status, headers={"retry-after": source.choice(PAUSES)}, request=request)
        client = source.choice((openai, anthropic))
        error = errors.status_error(client.APIStatusError("refused", response=response, body=body), messages, KEY)
        text = str(error)
        assert error.code in HANDLING
        assert len(text) <= LONGEST
        assert "\0" not in text
        assert text.encode()
        assert KEY not in text
        assert QUESTION not in text
        assert error.retry_after_s is None or 0 <= error.retry_after_s <= 300
        in_answer = errors.error_in({"error": body}, has_answer=source.random() < 0.5)
        if in_answer:
            assert KEY not in str(errors.error_in_answer(in_answer, messages, KEY, None, {}))

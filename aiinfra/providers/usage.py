"""Reading a provider's token counts into the disjoint classes of `TokenUsage`.

What is missing, negative, not a whole number, absurd or contradicts itself gives None: the call is then booked at its
bound, because a wrong count would be a wrong bill.
"""

import json
from collections.abc import Mapping
from typing import Any

from aiinfra.providers.base import TokenUsage

MAX_TOKENS = 100_000_000
"""More than this in one call is nonsense: the longest context of any model is a hundredth of it."""

MAX_RAW_CHARACTERS = 4096


class _UsageError(ValueError):
    """The counts make no sense."""


def openai_usage(raw: object) -> TokenUsage | None:
    """Counts of a chat completion, also with DeepSeek's `prompt_cache_hit_tokens` and `prompt_cache_miss_tokens`."""
    try:
        return _openai(_mapping(raw))
    except _UsageError:
        return None


def embedding_usage(raw: object) -> TokenUsage | None:
    """Counts of an embeddings call in OpenAI's dialect, which has nothing to say of an answer's tokens."""
    try:
        return _openai({"completion_tokens": 0, **_mapping(raw)})
    except _UsageError:
        return None


def anthropic_usage(raw: object) -> TokenUsage | None:
    """Counts of an Anthropic message; its `input_tokens` exclude what was read from or written to the prompt cache."""
    try:
        return _anthropic(_mapping(raw))
    except _UsageError:
        return None


def storable(raw: object) -> dict[str, Any]:
    """The provider's own counts as both databases can keep them; empty where they are no small, plain JSON object."""
    try:
        text = json.dumps(raw, allow_nan=False)
    except ValueError:
        return {}
    if not isinstance(raw, dict) or len(text) > MAX_RAW_CHARACTERS or "\\u0000" in text or "\\ud" in text:
        return {}
    return raw


def _openai(raw: Mapping[str, Any]) -> TokenUsage:
    prompt, output = _required(raw, "prompt_tokens"), _required(raw, "completion_tokens")
    details = _mapping(raw.get("prompt_tokens_details") or {})
    cache_read = _agreed(_count(details, "cached_tokens"), _count(raw, "prompt_cache_hit_tokens"))
    cache_write = _count(details, "cache_write_tokens") or 0
    reasoning = _count(_mapping(raw.get("completion_tokens_details") or {}), "reasoning_tokens") or 0
    _agreed(_count(raw, "prompt_cache_miss_tokens"), prompt - cache_read)
    _agreed(_count(raw, "total_tokens"), prompt + output)
    return _checked(TokenUsage(prompt - cache_read - cache_write, cache_read, cache_write, output, reasoning))


def _anthropic(raw: Mapping[str, Any]) -> TokenUsage:
    details = _mapping(raw.get("output_tokens_details") or {})
    return _checked(
        TokenUsage(
            input=_required(raw, "input_tokens"),
            cache_read=_count(raw, "cache_read_input_tokens") or 0,
            cache_write=_count(raw, "cache_creation_input_tokens") or 0,
            output=_required(raw, "output_tokens"),
            reasoning=_count(details, "thinking_tokens") or 0,
        )
    )


def _checked(usage: TokenUsage) -> TokenUsage:
    if usage.input < 0 or usage.reasoning > usage.output or usage.total > MAX_TOKENS:
        raise _UsageError
    return usage


def _mapping(raw: object) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise _UsageError
    return raw


def _count(raw: Mapping[str, Any], name: str) -> int | None:
    """A whole number, or None where the provider left it out. Raises _UsageError for anything else."""
    value = raw.get(name)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= MAX_TOKENS:
        raise _UsageError
    return value


def _required(raw: Mapping[str, Any], name: str) -> int:
    value = _count(raw, name)
    if value is None:
        raise _UsageError
    return value


def _agreed(first: int | None, second: int | None) -> int:
    """The one count that a provider gives twice, 0 where it gives none. Raises _UsageError if the two differ."""
    if first is not None and second is not None and first != second:
        raise _UsageError
    return next((count for count in (first, second) if count is not None), 0)

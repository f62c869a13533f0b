"""Counts the tokens of a text, and of a call whose provider did not count them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from aiinfra.providers.base import TokenUsage

BYTES_PER_TOKEN = 3
"""Used without a tokenizer: English has 4 to 5 bytes per token in o200k, so this overestimates."""

PIECE = 32_768
"""Characters that are encoded at a time: `bpe-openai` refuses texts of more than 200,000 tokens. A cut adds at most one
token.
"""
TOKENS_PER_MESSAGE = 3
TOKENS_PER_PROMPT = 3
"""What OpenAI's chat format adds around each message and before the answer (OpenAI Cookbook, "How to count tokens")."""


def count_tokens(text: str) -> int:
    """Tokens of `text` in OpenAI's o200k encoding, or its UTF-8 bytes / 3, rounded up, if `bpe-openai` has no wheel.

    The first call takes 1.5 s and about 140 MB: do not use it in processes that are numerous or must start quickly.
    """
    return _counter()(text)


def has_tokenizer() -> bool:
    """Whether tokens are counted rather than estimated. The first call costs as much as that of `count_tokens`."""
    return _counter() is not _estimate


def counted_usage(messages: Sequence[Mapping[str, Any]], answer: Iterable[str]) -> TokenUsage | None:
    """The usage of a chat by our own count; None if a message contains anything but text, which cannot be counted here.

    `answer` is everything the model wrote, including tool calls. Thinking that the provider does not return is not
    included.
    """
    texts = [_text_of(message) for message in messages]
    if None in texts:
        return None
    prompt = sum(count_tokens(text) for text in texts if text) + TOKENS_PER_MESSAGE * len(texts) + TOKENS_PER_PROMPT
    return TokenUsage(input=prompt, output=sum(map(count_tokens, answer)))


def _text_of(message: Mapping[str, Any]) -> str | None:
    """The text of a message: its role, its content, its tool calls; None if it contains an image or other non-text
    part.
    """
    content = message.get("content") or ""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    if any(not isinstance(part, Mapping) or not isinstance(part.get("text"), str) for part in parts):
        return None
    rest = [str(value) for name, value in message.items() if name != "content" and value]
    return " ".join([*rest, *(part["text"] for part in parts)])


@cache
def _counter() -> Callable[[str], int]:
    try:
        from bpe_openai import get_encoding
    except ImportError:
        return _estimate
    encoding = get_encoding("o200k_base")
    return lambda text: sum(len(encoding.encode_ordinary(piece)) for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + PIECE] for start in range(0, len(text), PIECE))


def _estimate(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)

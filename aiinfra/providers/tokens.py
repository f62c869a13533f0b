"""Counting the tokens of a text."""

from collections.abc import Callable
from functools import cache

BYTES_PER_TOKEN = 3
"""Where no tokenizer is installed: English has 4 to 5 bytes a token in o200k, so that this errs to the high side."""


def count_tokens(text: str) -> int:
    """Tokens of `text` in OpenAI's o200k encoding, or its UTF-8 bytes / 3, rounded up, where `bpe-openai` has no wheel.

    The first call takes 1.5 s and about 140 MB: not for processes that are many or must start quickly.
    """
    return _counter()(text)


def has_tokenizer() -> bool:
    """Whether tokens are counted, not estimated. The first call costs as much as that of `count_tokens`."""
    return _counter() is not _estimate


@cache
def _counter() -> Callable[[str], int]:
    try:
        from bpe_openai import get_encoding
    except ImportError:
        return _estimate
    encoding = get_encoding("o200k_base")
    return lambda text: len(encoding.encode_ordinary(text))


def _estimate(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)

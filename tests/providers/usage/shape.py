"""One usage format, with what it means and what it costs."""

from dataclasses import dataclass
from typing import Any

from aiinfra.providers.base import TokenUsage

PRICES = {"input": 1_000, "cache_read": 100, "cache_write": 1_250, "output": 10_000}
"""Nano-dollars a token: $1, $0.10, $1.25 and $10 per million."""
PLAIN = TokenUsage(input=20, output=10)


@dataclass(frozen=True)
class Shape:
    """One answer's usage. `usage` is None where it cannot be true, `nano` what it costs."""

    name: str
    raw: Any
    usage: TokenUsage | None
    nano: int | None = None


def chat(**counts: Any) -> dict[str, Any]:
    """A plain OpenAI usage of 20 and 10 tokens, and what is different about it."""
    return {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30, **counts}

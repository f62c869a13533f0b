"""A usage format with its meaning and cost."""

from dataclasses import dataclass
from typing import Any

from aiinfra.providers.base import TokenUsage

PRICES = {"input": 1_000, "cache_read": 100, "cache_write": 1_250, "output": 10_000}
"""Nano-dollars per token: $1, $0.10, $1.25, and $10 per million."""
PLAIN = TokenUsage(input=20, output=10)


@dataclass(frozen=True)
class Shape:
    """An answer's usage. `usage` is None if the counts are impossible; `nano` is the cost."""

    name: str
    raw: Any
    usage: TokenUsage | None
    nano: int | None = None


def chat(**counts: Any) -> dict[str, Any]:
    """An OpenAI usage of 20 input and 10 output tokens, with changes."""
    return {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30, **counts}

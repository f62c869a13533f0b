"""The provider's own usage report, in a form that both databases can store.

It is stored whether or not it can be parsed: calls with unreadable counts are corrected from it later.
"""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

from aiinfra.providers.usage.spellings import TIER

VALUES_MAX = 128
DEPTH_MAX = 4
TEXT_MAX = 64
WHOLE_MAX = 10**18


def with_tier(usage: object, tier: object) -> Any:
    """The usage with the service tier, which OpenAI puts next to it and Anthropic inside it."""
    if tier is None or not isinstance(usage, Mapping) or usage.get(TIER) is not None:
        return usage
    return {**usage, TIER: tier}


def storable(raw: object) -> dict[str, Any]:
    """The usage as a small JSON object; anything else is stored under `usage`.

    Texts are cut to 64 characters without those that a database rejects, numbers that cannot be counts become texts,
    and at most 128 values, 4 levels deep, are kept.
    """
    if raw is None:
        return {}
    cleaned = _Cleaner().clean(raw, DEPTH_MAX)
    return cleaned if isinstance(cleaned, dict) else {"usage": cleaned}


class _Cleaner:
    """Counts the values that it keeps."""

    def __init__(self) -> None:
        self._left = VALUES_MAX

    def clean(self, value: object, depth: int) -> Any:
        self._left -= 1
        if isinstance(value, Mapping):
            return self._members(value, depth) if depth else "..."
        if isinstance(value, list):
            return [self.clean(each, depth - 1) for each in self._some(value)] if depth else "..."
        return _plain(value)

    def _members(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        return {_text(str(name)): self.clean(each, depth - 1) for name, each in self._some(value.items())}

    def _some(self, values: Any) -> Any:
        for each in islice(values, VALUES_MAX):
            if self._left > 0:
                yield each


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= WHOLE_MAX else "a huge number"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return _text(str(value))


def _text(text: str) -> str:
    return text[:TEXT_MAX].encode("utf-8", "replace").decode().replace("\x00", "")

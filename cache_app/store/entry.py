"""One cached answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiinfra.providers.base import TokenUsage


@dataclass(frozen=True)
class Entry:
    """One cached answer. `question` is the text of the last turn that it answers.

    `response` is {role, content, finishReason} and optionally toolCalls; readers share it: change a copy. `origin` is
    fetched, given or warmed; `bar` is the entry's own minimum similarity (0: none); `blocked` contains the IDs of
    questions that it must not answer. `stamp` is set by the store and changes with the entry, except for `hits`, which
    an in-memory copy may show too low.
    """

    id: str
    organization_id: int
    partition: str
    question: str
    response: Mapping[str, Any]
    usage: TokenUsage
    provider: str
    model: str
    created_ms: int
    expires_ms: int
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "fetched"
    request_id: str = ""
    api_key_id: int | None = None
    user_ref: str = ""
    latency_ms: int = 0
    bar: float = 0.0
    blocked: frozenset[str] = frozenset()
    pinned: bool = False
    hits: int = 0
    stamp: int = 0

"""Answers on their way into and out of the cache."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from aiinfra.providers.base import TokenUsage
from cache_app.cache_key import CacheKey
from cache_app.models import Layer

OFF = "off"
"""Why nothing is served or stored while the organization's cache is off."""


@dataclass(frozen=True)
class NewEntry:
    """A valid answer from a provider or a caller, and its origin.

    `response` is {role, content, finishReason}; `latency_ms` is how long the provider took.
    """

    response: Mapping[str, Any]
    usage: TokenUsage
    provider: str
    model: str
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "fetched"
    request_id: UUID | None = None
    api_key_id: int | None = None
    user_ref: str = ""
    latency_ms: int = 0


@dataclass(frozen=True)
class Hit:
    """An answer to a question, and why it may be served. `similarity` is a cosine, 1 for an exact match."""

    layer: Layer
    entry_id: str
    similarity: float
    rule: str
    response: dict[str, Any]
    usage: TokenUsage
    cached_question: str
    age_s: int = 0
    saved_ms: int = 0
    lookup_ms: float = 0.0

    @classmethod
    def in_flight(cls, cache_key: CacheKey, response: dict[str, Any], usage: TokenUsage, waited_ms: int) -> "Hit":
        """The answer of an identical request that was in progress."""
        return cls(
            layer=Layer.FLIGHT,
            entry_id=cache_key.entry_id,
            similarity=1.0,
            rule="flight",
            response=response,
            usage=usage,
            cached_question=cache_key.text,
            lookup_ms=float(waited_ms),
        )


@dataclass(frozen=True)
class Candidate:
    """An entry that was considered: its similarity, and what the guards said about it."""

    entry_id: str
    similarity: float
    question: str
    guard: str
    reason: str


@dataclass(frozen=True)
class LookupResult:
    """The result of a lookup. Without a hit, `reason` says why: one of the names in `cache_app.metrics.counts`
    after "miss:" or "error:"; `explanation` says it in words.

    In shadow mode `shadow_hit` is set instead of `hit`. With `may_share`, identical questions may wait for one answer.
    """

    cache_key: CacheKey
    hit: Hit | None = None
    shadow_hit: Hit | None = None
    reason: str = ""
    explanation: str = ""
    candidates: tuple[Candidate, ...] = ()
    may_share: bool = False

    @property
    def storage_key(self) -> CacheKey | None:
        """The key under which to store the answer. None if the organization stores none."""
        return None if self.reason == OFF else self.cache_key

"""An answer on its way into the cache, and one on its way out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from aiinfra.providers.base import TokenUsage
from cache_app.cache_key import CacheKey
from cache_app.models import Layer

OFF = "off"
"""Why nothing is served, or kept, where the organization's cache is switched off."""


@dataclass(frozen=True)
class NewEntry:
    """A clean answer of a provider, or one that somebody gave us, with where it comes from.

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
    """What answers a question, and why it may. `similarity` is a cosine, 1 for an equal text."""

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
        """The answer of an equal request that was under way."""
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
    """An entry that was looked at: how near it is, and what the guards said of it."""

    entry_id: str
    similarity: float
    question: str
    guard: str
    reason: str


@dataclass(frozen=True)
class LookupResult:
    """What a look-up found. Where nothing is served, `reason` says why: one of the names of `cache_app.metrics.counts`
    after "miss:" or "error:", and `explanation` in words.

    `would_serve` is set in shadow mode in place of `served`. With `may_share` equal questions may wait for one answer.
    """

    cache_key: CacheKey
    served: Hit | None = None
    would_serve: Hit | None = None
    reason: str = ""
    explanation: str = ""
    candidates: tuple[Candidate, ...] = ()
    may_share: bool = False

    @property
    def to_keep(self) -> CacheKey | None:
        """The ticket for the answer; None where the organization keeps none."""
        return None if self.reason == OFF else self.cache_key

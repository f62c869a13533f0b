"""An answer on its way into the cache, and one on its way out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from aiinfra.providers.base import TokenUsage
from cache_app.models import Layer
from cache_app.ticket import Ticket

OFF = "off"
"""Why nothing is served, or kept, where the organization's cache is switched off."""


@dataclass(frozen=True)
class Fetched:
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
class Served:
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
    def in_flight(cls, ticket: Ticket, response: dict[str, Any], usage: TokenUsage, waited_ms: int) -> "Served":
        """The answer of an equal request that was under way."""
        return cls(
            layer=Layer.FLIGHT,
            entry_id=ticket.entry_id,
            similarity=1.0,
            rule="flight",
            response=response,
            usage=usage,
            cached_question=ticket.text,
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
class Look:
    """What a look-up found. Where nothing is served, `reason` says why: one of the names of `cache_app.metrics.counts`
    after "miss:" or "error:", and `explanation` in words.

    `would_serve` is set in shadow mode in place of `served`. With `may_share` equal questions may wait for one answer.
    """

    ticket: Ticket
    served: Served | None = None
    would_serve: Served | None = None
    reason: str = ""
    explanation: str = ""
    candidates: tuple[Candidate, ...] = ()
    may_share: bool = False

    @property
    def to_keep(self) -> Ticket | None:
        """The ticket for the answer; None where the organization keeps none."""
        return None if self.reason == OFF else self.ticket

"""The public door of the cache: other apps and Python callers import this and nothing behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cache_app import keeping, lookup, manage, tasks
from cache_app.answers import Fetched, Look, Served
from cache_app.embedding.base import Payer
from cache_app.learning import sampling
from cache_app.metrics.stats import CacheStats, cache_stats
from cache_app.models import CacheHit
from cache_app.question import Question
from cache_app.store import janitor
from cache_app.ticket import Ticket

__all__ = [
    "CacheAwayError",
    "CacheHit",
    "CacheMatch",
    "Fetched",
    "Look",
    "Payer",
    "Question",
    "SemanticCache",
    "Served",
    "Ticket",
    "UnknownOrganizationError",
]

DEFAULT_MODEL = ("deepseek", "deepseek-chat")
"""Whose answer it is where `set` is not told: the specification's cost-effective model."""


class UnknownOrganizationError(LookupError):
    """There is no such organization."""


class CacheAwayError(Exception):
    """The cache's store does not answer, so nothing was kept."""


@dataclass(frozen=True)
class MatchedEntry:
    """What `CacheMatch` found."""

    id: str
    response: Mapping[str, Any]
    question: str


@dataclass(frozen=True)
class CacheMatch:
    """A hit: the entry, the cosine of the two questions (1 for equal ones), and how it was found."""

    entry: MatchedEntry
    similarity: float
    kind: Literal["exact", "semantic"]


class SemanticCache:
    """The cache. Stateless; the methods without a docstring of their own are those of the modules behind them.

    `get`, `set`, `get_stats`, `clear_by_tags` and `cleanup` are for Python callers and take the organization's slug;
    the others are for the queue, inside an organization's scope.
    """

    prepare = staticmethod(lookup.prepare)
    look_up = staticmethod(lookup.look_up)
    look_again = staticmethod(lookup.look_again)
    keep = staticmethod(keeping.keep)
    record_hit = staticmethod(keeping.record_hit)
    record_shadow = staticmethod(keeping.record_shadow)
    compare = staticmethod(sampling.compare)
    due_reasks = staticmethod(sampling.due_reasks)
    uncompared = staticmethod(sampling.uncompared)
    give_up = staticmethod(sampling.give_up)
    jobs = staticmethod(tasks.jobs)
    slow_jobs = staticmethod(tasks.slow_jobs)

    def get(
        self,
        messages: Sequence[Mapping[str, Any]],
        provider: str,
        model: str,
        *,
        organization_id: str,
        user_id: str = "",
        contextual_match: bool = True,
        similarity_threshold: float | None = None,
    ) -> CacheMatch | None:
        """The answer to an equal question, or with `contextual_match` to a similar one; None for a miss.

        `similarity_threshold` (a cosine) replaces the organization's. Raises UnknownOrganizationError.
        """
        organization = _organization(organization_id)
        question = Question(organization.id, provider, model, messages, user_ref=user_id)
        with organization_scope(organization.id):
            payer = Payer(organization.id, user_ref=user_id)
            served = lookup.look_up(question, payer, by_meaning=contextual_match, threshold=similarity_threshold).served
        if served is None:
            return None
        entry = MatchedEntry(served.entry_id, served.response, served.cached_question)
        return CacheMatch(entry, served.similarity, "exact" if served.layer == "exact" else "semantic")

    def set(
        self,
        messages: Sequence[Mapping[str, Any]],
        response: Mapping[str, Any],
        *,
        organization_id: str,
        user_id: str = "",
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Keep an answer that the caller vouches for; returns the entry's id.

        `metadata` names its provider and model. Raises UnknownOrganizationError, CacheAwayError, and ValueError for a
        response without content.
        """
        organization, about = _organization(organization_id), dict(metadata or {})
        provider = str(about.pop("provider", DEFAULT_MODEL[0]))
        model = str(about.pop("model", DEFAULT_MODEL[1]))
        question = Question(organization.id, provider, model, messages, user_ref=user_id)
        fetched = Fetched(
            response=_clean(response),
            usage=TokenUsage(),
            provider=provider,
            model=model,
            tags=tuple(tags),
            metadata=about,
            origin="given",
            user_ref=user_id,
        )
        with organization_scope(organization.id):
            return self.give(question, fetched, Payer(organization.id, user_ref=user_id))

    def give(self, question: Question, fetched: Fetched, payer: Payer) -> str:
        """Keep an answer with its embedding, so that the next look-up of any process finds it; returns the entry's id.

        Raises CacheAwayError; also where the organization's cache is switched off.
        """
        look = lookup.prepare(question)
        if look.to_keep is None:
            raise CacheAwayError(look.reason)
        return self.give_at(look.to_keep, fetched, payer)

    def give_at(self, ticket: Ticket, fetched: Fetched, payer: Payer) -> str:
        """As `give`, where it is known already where the answer belongs. Raises CacheAwayError."""
        if not keeping.keep(keeping.with_vector(ticket, payer), fetched):
            raise CacheAwayError("the cache's store does not answer")
        return ticket.entry_id

    def get_stats(self, organization_id: str) -> CacheStats:
        """The figures of the last 30 days. Raises UnknownOrganizationError."""
        organization = _organization(organization_id)
        with organization_scope(organization.id):
            return cache_stats(organization.id)

    def clear_by_tags(self, tags: Sequence[str], *, organization_id: str, actor: str = "Python") -> int:
        """Remove every entry with one of the tags, at once and for all processes; returns how many there were.

        Raises UnknownOrganizationError and RedisError.
        """
        organization = _organization(organization_id)
        with organization_scope(organization.id):
            return manage.clear(organization_id=organization.id, tags=tags, actor=actor)

    def cleanup(self) -> int:
        """Remove what has expired, of all organizations; returns how many entries. Raises RedisError."""
        return sum(janitor.clean_up(organization_id) for organization_id in janitor.organizations())

    def hit_of(self, request_id: Any) -> CacheHit | None:
        """What answered a request from the cache; None for one that the provider answered."""
        return CacheHit.objects.filter(id=request_id, shadow=False).first()


def _organization(slug: str) -> Organization:
    organization = Organization.objects.filter(slug=slug).first()
    if organization is None:
        raise UnknownOrganizationError(f"no organization {slug!r}")
    return organization


def _clean(response: Mapping[str, Any]) -> dict[str, Any]:
    content = response.get("content")
    if not isinstance(content, str) or not content.strip():
        raise ValueError("a response needs its content")
    return {"role": "assistant", "content": content, "finishReason": str(response.get("finishReason", "stop"))}

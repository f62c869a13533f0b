"""The cache's public interface: other apps and Python callers import only this module."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

from redis.exceptions import RedisError

from aiinfra.python_api import (
    PYTHON,
    InvalidValueError,
    UnknownOptionError,
    UnknownOrganizationError,
    checked,
    organization_named,
)
from aiinfra.tenants.scope import organization_scope
from cache_app import lookup, manage, tasks, writing
from cache_app.answers import Hit, LookupResult, NewEntry
from cache_app.cache_key import CacheKey
from cache_app.embedding.base import EmbedderError, Payer
from cache_app.embedding.registry import configured_embedder
from cache_app.erasure import erase_all, erase_user
from cache_app.learning import sampling
from cache_app.metrics.folding import fold_organization
from cache_app.metrics.stats import CacheStats, cache_stats
from cache_app.models import CacheHit
from cache_app.operations import look_up_only, new_entry_from, payer_of, question_from
from cache_app.payloads import LookupIn, StoreIn, TagsIn
from cache_app.question import Question
from cache_app.store import entries, janitor

__all__ = [
    "CacheAwayError",
    "CacheHit",
    "CacheKey",
    "CacheMatch",
    "EmbedderError",
    "Hit",
    "InvalidValueError",
    "LookupOptions",
    "LookupResult",
    "NewEntry",
    "Payer",
    "Question",
    "SemanticCache",
    "StoreOptions",
    "UnknownOptionError",
    "UnknownOrganizationError",
    "configured_embedder",
    "erase_all",
    "erase_user",
]

DEFAULT_MODEL = ("deepseek", "deepseek-chat")
"""Default model of answers given with `set`: the specification's cost-effective model."""


class CacheAwayError(Exception):
    """The cache's store is unavailable, so nothing was stored."""


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


class LookupOptions(TypedDict, total=False):
    """Optional arguments of `get`.

    The names, defaults and limits match the action `lookup` of `POST /api/ai/cache`. Without `contextual_match` only an
    exact match is found; `similarity_threshold` (a cosine, 0.5 to 1) replaces the organization's.
    """

    user_id: str
    contextual_match: bool
    similarity_threshold: float | None
    temperature: float | None
    max_tokens: int | None
    context_key: str


class StoreOptions(TypedDict, total=False):
    """Optional arguments of `set`.

    The names, defaults and limits match the action `store` of `POST /api/ai/cache`. Provider and model may also be
    named in the metadata; the default is `DEFAULT_MODEL`.
    """

    provider: str
    model: str
    user_id: str
    tags: Sequence[str]
    metadata: Mapping[str, Any]
    temperature: float | None
    max_tokens: int | None
    context_key: str


class SemanticCache:
    """The cache. Stateless. Methods without a docstring are documented in the modules that implement them.

    `get`, `set`, `get_stats`, `clear_by_tags` and `cleanup` are for Python callers and take the organization's slug;
    the others are for the queue, inside an organization's scope.
    """

    prepare = staticmethod(lookup.prepare)
    look_up = staticmethod(lookup.look_up)
    look_up_exact = staticmethod(lookup.look_up_exact)
    store_answer = staticmethod(writing.store_answer)
    record_hit = staticmethod(writing.record_hit)
    touching = staticmethod(entries.touching)
    record_shadow = staticmethod(writing.record_shadow)
    compare = staticmethod(sampling.compare)
    claim_due_rechecks = staticmethod(sampling.claim_due_rechecks)
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
        **options: Unpack[LookupOptions],
    ) -> CacheMatch | None:
        """The answer of an exact or semantic match. None on a miss.

        Counted in the statistics. Never calls a provider's chat model. Raises InvalidValueError and
        UnknownOrganizationError.
        """
        payload = checked(LookupIn, {**options, "messages": messages, "provider": provider, "model": model})
        organization = organization_named(organization_id)
        with organization_scope(organization.id):
            hit = look_up_only(payload, question_from(payload, organization_id=organization.id)).hit
        if hit is None:
            return None
        entry = MatchedEntry(hit.entry_id, hit.response, hit.cached_question)
        return CacheMatch(entry, hit.similarity, "exact" if hit.layer == "exact" else "semantic")

    def set(
        self,
        messages: Sequence[Mapping[str, Any]],
        response: Mapping[str, Any],
        *,
        organization_id: str,
        **options: Unpack[StoreOptions],
    ) -> str:
        """Store an answer that the caller vouches for. Returns the entry's ID. The audit log names the caller "Python".

        Raises InvalidValueError, UnknownOrganizationError and CacheAwayError.
        """
        payload = _store_arguments(messages, response, options)
        organization = organization_named(organization_id)
        question = question_from(payload, organization_id=organization.id)
        with organization_scope(organization.id):
            entry_id = self.store(question, new_entry_from(payload), payer_of(question))
            manage.record_given(organization_id=organization.id, entry_id=entry_id, actor=PYTHON)
        return entry_id

    def store(self, question: Question, new_entry: NewEntry, payer: Payer) -> str:
        """Store an answer with its embedding, so that the next lookup of any process finds it. Returns the entry's ID.

        Raises CacheAwayError, also if the organization's cache is off.
        """
        result = lookup.prepare(question)
        if result.storage_key is None:
            raise CacheAwayError(result.reason)
        return self.store_at(result.storage_key, new_entry, payer)

    def store_at(self, cache_key: CacheKey, new_entry: NewEntry, payer: Payer) -> str:
        """Like `store`, for a known cache key. Raises CacheAwayError."""
        if not writing.store_answer(writing.with_vector(cache_key, payer), new_entry):
            raise CacheAwayError("The cache's store is not responding.")
        return cache_key.entry_id

    def store_many(self, answers: Sequence[tuple[CacheKey, NewEntry]], payer: Payer) -> None:
        """Like `store_at`, for several answers of one payer. Their questions are embedded ten per call."""
        cache_keys = writing.with_vectors([cache_key for cache_key, _ in answers], payer)
        for cache_key, (_, new_entry) in zip(cache_keys, answers, strict=True):
            if not writing.store_answer(cache_key, new_entry):
                raise CacheAwayError("The cache's store is not responding.")

    def get_stats(self, organization_id: str) -> CacheStats:
        """Figures for the last 30 days. Raises InvalidValueError and UnknownOrganizationError.

        Includes all lookups so far; hits of queued requests may take a few more seconds.
        """
        organization = organization_named(organization_id)
        with organization_scope(organization.id):
            with suppress(RedisError):
                fold_organization(organization)
            return cache_stats(organization.id)

    def clear_by_tags(self, tags: Sequence[str], *, organization_id: str) -> int:
        """Remove every entry with any of the tags, immediately and for all processes. Returns how many there were.

        Raises InvalidValueError, UnknownOrganizationError and RedisError.
        """
        payload = checked(TagsIn, {"tags": tags})
        organization = organization_named(organization_id)
        with organization_scope(organization.id):
            return manage.clear(organization_id=organization.id, tags=payload.tags, actor=PYTHON)

    def cleanup(self) -> int:
        """Remove expired entries of all organizations. Returns how many. Raises RedisError."""
        return sum(janitor.clean_up(organization_id) for organization_id in janitor.organizations())

    def hit_of(self, request_id: Any) -> CacheHit | None:
        """The hit that answered a request. None if the provider answered."""
        return CacheHit.objects.fetch(id=request_id, shadow=False)


def _store_arguments(
    messages: Sequence[Mapping[str, Any]], response: Mapping[str, Any], options: StoreOptions
) -> StoreIn:
    """Provider and model come from the options, else the metadata, else the default. Raises InvalidValueError."""
    raw: dict[str, Any] = {"provider": DEFAULT_MODEL[0], "model": DEFAULT_MODEL[1]}
    metadata = options.get("metadata")
    if isinstance(metadata, Mapping):
        raw |= {name: value for name, value in metadata.items() if name in raw}
        about = {name: value for name, value in metadata.items() if name not in raw}
        options = {**options, "metadata": about}
    return checked(StoreIn, {**raw, **options, "messages": messages, "response": response})

"""Store answers in the cache, and record which ones it served."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from redis.exceptions import RedisError

from cache_app.answers import Hit, LookupResult, NewEntry
from cache_app.cache_key import CacheKey
from cache_app.embedding.base import EmbedderError, Payer
from cache_app.embedding.vector_cache import embed_for_lookup, embed_together
from cache_app.learning.judging import blocks_of
from cache_app.learning.sampling import is_sampled
from cache_app.models import CacheHit
from cache_app.policy import policy_of
from cache_app.store import entries
from cache_app.store.entries import Entry

logger = logging.getLogger(__name__)

HOUR_MS = 3_600_000


def store_answer(cache_key: CacheKey, new_entry: NewEntry) -> bool:
    """Store an answer. False if Redis is down: the answer is lost then, as after an eviction.

    Replaces an exact match. Without a vector, exact matches find it immediately, and semantic ones
    after the scheduler has embedded it.
    """
    policy = policy_of(cache_key.organization_id)
    blocks = blocks_of(cache_key.organization_id, cache_key.entry_id)
    now_ms = round(time.time() * 1000)
    entry = Entry(
        id=cache_key.entry_id,
        organization_id=cache_key.organization_id,
        partition=cache_key.partition,
        question=cache_key.text,
        response=dict(new_entry.response),
        usage=new_entry.usage,
        provider=new_entry.provider,
        model=new_entry.model,
        tags=new_entry.tags,
        metadata=dict(new_entry.metadata),
        created_ms=now_ms,
        expires_ms=now_ms + policy.ttl_hours * HOUR_MS,
        origin=new_entry.origin,
        request_id=str(new_entry.request_id or ""),
        api_key_id=new_entry.api_key_id,
        user_ref=new_entry.user_ref,
        latency_ms=new_entry.latency_ms,
        bar=blocks.bar,
        blocked=blocks.question_ids - {cache_key.entry_id},
    )
    try:
        entries.put(entry, vector=cache_key.vector, by_meaning=cache_key.by_meaning, max_entries=policy.max_entries)
    except RedisError as error:
        logger.warning("answer not cached: Redis is not responding: %s", error)
        return False
    return True


def with_vector(cache_key: CacheKey, payer: Payer) -> CacheKey:
    """The key with its embedding, if the text is compared by meaning and the embedder responds."""
    if not _needs_vector(cache_key):
        return cache_key
    try:
        return replace(cache_key, vector=embed_for_lookup(cache_key.text, cache_key.partition, payer))
    except EmbedderError:
        return cache_key


def with_vectors(cache_keys: Sequence[CacheKey], payer: Payer) -> list[CacheKey]:
    """Like `with_vector`, for several keys at once."""
    vectors = embed_together([(each.text, each.partition) for each in cache_keys if _needs_vector(each)], payer)
    return [
        replace(each, vector=vectors.get((each.text, each.partition))) if _needs_vector(each) else each
        for each in cache_keys
    ]


def _needs_vector(cache_key: CacheKey) -> bool:
    return cache_key.by_meaning and cache_key.vector is None


def record_hit(*, request_id: UUID, cache_key: CacheKey, hit: Hit, **columns: Any) -> CacheHit:
    """Record the hit that answered a request, in the caller's transaction. `columns` are further ones of `CacheHit`.

    Run `touching` of the entry after the commit, so that its last use is known.
    """
    reask = is_sampled(policy_of(cache_key.organization_id), cache_key.organization_id)
    row = CacheHit(**_columns(request_id, cache_key, hit), **columns, reask=reask)
    CacheHit.objects.insert(row)
    return row


def record_shadow(*, request_id: UUID, lookup: LookupResult, **columns: Any) -> None:
    """Record what the cache would have answered to a request that goes to the provider."""
    if lookup.shadow_hit:
        row = CacheHit(**_columns(request_id, lookup.cache_key, lookup.shadow_hit), **columns, shadow=True)
        CacheHit.objects.insert(row)


def _columns(request_id: UUID, cache_key: CacheKey, hit: Hit) -> Mapping[str, Any]:
    return {
        "id": request_id,
        "organization_id": cache_key.organization_id,
        "layer": hit.layer,
        "entry_id": hit.entry_id,
        "partition": cache_key.partition,
        "embedder": cache_key.embedder,
        "similarity": hit.similarity,
        "rule": hit.rule,
        "question": cache_key.text,
        "cached_question": hit.cached_question,
        "answer": str(hit.response.get("content", "")),
        "saved_ms": hit.saved_ms,
        "entry_age_s": hit.age_s,
        "lookup_ms": hit.lookup_ms,
    }

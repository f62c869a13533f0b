"""Cache lookup: the exact match first, then semantic ones, and why an answer may or may not be served.

Nothing here raises if the cache is unavailable: without Redis everything is a miss; without an embedder only the exact
layer works. Redis decides at the last moment whether an answer is valid, so an outdated or wrong index can only cause a
miss.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from redis.exceptions import RedisError

from aiinfra.metrics import recorded
from aiinfra.tracing.spans import span_within
from cache_app.answers import OFF, Candidate, Hit, LookupResult
from cache_app.cache_key import CacheKey
from cache_app.eligibility import ineligible_because
from cache_app.embedding.base import Embedder, EmbedderError, Payer
from cache_app.embedding.registry import configured_embedder
from cache_app.embedding.vector_cache import embed_for_lookup
from cache_app.guards.decision import decide
from cache_app.index.registry import configured_index
from cache_app.learning.judging import is_wrong_pair
from cache_app.metrics import counts
from cache_app.models import CacheMode, CachePolicy, Layer, OtherLanguages
from cache_app.policy import policy_of
from cache_app.question import Question, entry_id
from cache_app.store.entries import Entry, fetch_valid

logger = logging.getLogger(__name__)

CANDIDATES = 3
"""Tried one after another: the second is sometimes right when the first is a trap."""
REDIS, EMBEDDER, NOTHING = "redis", "embedder", "none"
ERRORS = {REDIS, EMBEDDER}
BLOCKED = ("blocked", "this answer to this question was reported as wrong")
EXPLANATIONS = {
    OFF: "the organization's cache is off",
    REDIS: "the cache's store is not responding",
    EMBEDDER: "the embedder is not responding, so only exact matches are found",
    NOTHING: "the cache contains nothing similar",
}


def prepare(question: Question) -> LookupResult:
    """Where the answer to a question belongs, without looking for one."""
    policy = policy_of(question.organization_id)
    result = LookupResult(_cache_key_for(question, policy))
    return replace(result, reason=OFF) if policy.mode == CacheMode.OFF else result


def look_up(
    question: Question, payer: Payer, *, by_meaning: bool = True, threshold: float | None = None
) -> LookupResult:
    """The answer to an equal or a similar question, if the organization's settings and the guards allow it.

    `threshold` (a cosine) replaces the organization's for this lookup. Counted in the statistics.
    """
    started = time.perf_counter()
    policy = policy_of(question.organization_id)
    cache_key = _cache_key_for(question, policy)
    if policy.mode == CacheMode.OFF:
        return _explained(LookupResult(cache_key, reason=OFF))
    with span_within("cache lookup") as span:
        result = _searched(_Search(question, policy, payer, threshold), cache_key, by_meaning)
        if span:
            span.set_attribute("aiinfra.cache.result", _outcome(result, policy))
    result = _timed(result, (time.perf_counter() - started) * 1000)
    counts.record(question.organization_id, _counters(result))
    recorded.cache_looked_up(question.organization_id, _outcome(result, policy))
    if policy.mode == CacheMode.SHADOW:
        return replace(result, hit=None, shadow_hit=result.hit)
    return replace(_explained(result), may_share=True)


def look_up_exact(cache_key: CacheKey) -> Hit | None:
    """The exact match, if it has arrived since; not counted."""
    try:
        return _exact(cache_key)
    except RedisError:
        return None


def _cache_key_for(question: Question, policy: CachePolicy) -> CacheKey:
    embedder = configured_embedder().id
    partition = question.partition(embedder, policy.shared_with)
    return CacheKey(
        organization_id=question.organization_id,
        partition=partition,
        entry_id=entry_id(partition, question.text),
        text=question.text,
        embedder=embedder,
        by_meaning=not ineligible_because(question, policy),
    )


@dataclass(frozen=True)
class _Search:
    """One lookup's context."""

    question: Question
    policy: CachePolicy
    payer: Payer
    threshold: float | None

    def bar(self, embedder: Embedder) -> float:
        """The threshold that applies: the caller's, else the organization's, else the embedder's."""
        if self.threshold is not None:
            return self.threshold
        return self.policy.threshold if self.policy.threshold is not None else embedder.scale.edge


def _searched(search: _Search, cache_key: CacheKey, by_meaning: bool) -> LookupResult:
    try:
        return _search(search, cache_key, by_meaning)
    except RedisError as error:
        logger.warning("lookup skipped: Redis is not responding: %s", error)
        return LookupResult(cache_key, reason=REDIS)


def _search(search: _Search, cache_key: CacheKey, by_meaning: bool) -> LookupResult:
    if hit := _exact(cache_key):
        return LookupResult(cache_key, hit)
    if not by_meaning or search.policy.mode == CacheMode.EXACT:
        return LookupResult(cache_key, reason=NOTHING)
    if not cache_key.by_meaning:
        why = ineligible_because(search.question, search.policy)
        return LookupResult(cache_key, reason=f"unsuited:{why}", explanation=f"not compared by meaning: {why}")
    try:
        return _similar(search, cache_key)
    except EmbedderError as error:
        logger.info("only the exact layer was used: %s", error)
        return LookupResult(cache_key, reason=EMBEDDER)


def _exact(cache_key: CacheKey) -> Hit | None:
    entry = fetch_valid(cache_key.organization_id, cache_key.partition, [cache_key.entry_id]).get(cache_key.entry_id)
    if entry is None or cache_key.entry_id in entry.blocked:
        return None
    return _hit(entry, Layer.EXACT, 1.0, "exact")


def _similar(search: _Search, cache_key: CacheKey) -> LookupResult:
    embedder = configured_embedder()
    cache_key = replace(cache_key, vector=embed_for_lookup(cache_key.text, cache_key.partition, search.payer))
    assert cache_key.vector is not None  # noqa: S101 - for the type checker: it was set above
    nearest = configured_index().nearest(cache_key.organization_id, cache_key.partition, cache_key.vector, CANDIDATES)
    near = {each.entry_id: each.similarity for each in nearest if each.similarity >= embedder.scale.near}
    near.pop(cache_key.entry_id, None)
    entries = fetch_valid(cache_key.organization_id, cache_key.partition, list(near)) if near else {}
    candidates: list[Candidate] = []
    for name, similarity in near.items():
        if name not in entries:
            continue
        candidate = _candidate(search, cache_key, entries[name], similarity, embedder)
        candidates.append(candidate)
        if not candidate.guard:
            hit = _hit(entries[name], Layer.SEMANTIC, similarity, candidate.reason)
            return LookupResult(cache_key, hit, candidates=tuple(candidates))
    first = candidates[0] if candidates else None
    return LookupResult(
        cache_key,
        reason=first.guard if first else NOTHING,
        explanation=first.reason if first else "",
        candidates=tuple(candidates),
    )


def _candidate(search: _Search, cache_key: CacheKey, entry: Entry, similarity: float, embedder: Embedder) -> Candidate:
    """If the entry may be served, `guard` is "" and `reason` is the rule that allowed it."""
    if cache_key.entry_id in entry.blocked:
        guard, reason = BLOCKED
    else:
        verdict = decide(
            cache_key.text,
            entry.question,
            similarity,
            max(search.bar(embedder), entry.bar),
            embedder.scale,
            any_language=search.policy.other_languages == OtherLanguages.SIMILAR,
        )
        guard, reason = ("", verdict.rule) if verdict.serve else (verdict.guard, verdict.reason)
        if verdict.serve and is_wrong_pair(cache_key.organization_id, entry.id, cache_key.entry_id):
            guard, reason = BLOCKED  # the report has not reached Redis yet
    return Candidate(entry.id, similarity, entry.question, guard, reason)


def _hit(entry: Entry, layer: Layer, similarity: float, rule: str) -> Hit:
    return Hit(
        layer=layer,
        entry_id=entry.id,
        similarity=similarity,
        rule=rule,
        response=dict(entry.response),
        usage=entry.usage,
        cached_question=entry.question,
        age_s=max(0, round(time.time() - entry.created_ms / 1000)),
        saved_ms=entry.latency_ms,
    )


def _timed(result: LookupResult, lookup_ms: float) -> LookupResult:
    return replace(result, hit=replace(result.hit, lookup_ms=lookup_ms)) if result.hit else result


def _explained(result: LookupResult) -> LookupResult:
    if result.explanation or result.hit:
        return result
    return replace(result, explanation=EXPLANATIONS.get(result.reason, ""))


def _outcome(result: LookupResult, policy: CachePolicy) -> str:
    """For the metrics: `hit_` and the layer, `shadow_` if it was not served, `error_` and what failed, or `miss`."""
    if result.hit:
        return f"{'shadow' if policy.mode == CacheMode.SHADOW else 'hit'}_{result.hit.layer}"
    return f"error_{result.reason}" if result.reason in ERRORS else "miss"


def _counters(result: LookupResult) -> Iterable[str]:
    """The counters of a lookup; hits are counted by their rows."""
    yield counts.LOOKUP
    if not result.hit:
        yield f"error:{result.reason}" if result.reason in ERRORS else f"miss:{result.reason}"
    if result.candidates and (not result.hit or result.hit.layer == Layer.SEMANTIC):
        best = result.candidates[0]
        fate = "below" if best.guard == "threshold" else "refused" if best.guard else "served"
        yield counts.similarity_name(best.similarity, fate)

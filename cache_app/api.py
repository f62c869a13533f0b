"""`/api/ai/cache`: the cache's JSON API."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from redis.exceptions import RedisError

from aiinfra.api import ApiCall, Endpoint, NoParameters, Operation, Removed
from aiinfra.failures import ApiError, not_found
from aiinfra.money import dollars
from aiinfra.tenants.security_log.reading import note_reading
from cache_app import manage
from cache_app.facade import CacheAwayError, SemanticCache
from cache_app.learning import judging
from cache_app.metrics.stats import cache_stats
from cache_app.models import JudgedBy
from cache_app.operations import look_up_only, new_entry_from, payer_of, question_from
from cache_app.payloads import (
    AnswerOut,
    CacheStatsOut,
    EntriesQuery,
    EntryIn,
    EntryOut,
    EntryPage,
    Judged,
    LookupIn,
    LookupOut,
    ModelIn,
    PinIn,
    Pinned,
    QuestionIn,
    ReportIn,
    Stored,
    StoreIn,
    TagsIn,
)
from cache_app.question import Question
from cache_app.store import browse
from cache_app.store.entry import Entry


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except (RedisError, CacheAwayError) as error:
        message = str(error) if isinstance(error, CacheAwayError) else "Redis is down."
        raise ApiError(503, "unavailable", message) from None


def get_stats(call: ApiCall, _payload: NoParameters) -> CacheStatsOut:
    """Cache figures for the organization."""
    stats = cache_stats(call.principal.organization_id)
    return CacheStatsOut(
        total_entries=stats.total_entries,
        memory_bytes=stats.memory_bytes,
        looks=stats.looks,
        hits=stats.hits,
        misses=stats.misses,
        hit_rate=stats.hit_rate,
        average_similarity=stats.average_similarity,
        repeats_served=stats.repeats_served,
        saved_cost=dollars(stats.saved_nano),
        saved_ms=stats.saved_ms,
        false_hit_reports=stats.false_hit_reports,
        near_misses=stats.near_misses,
        by_kind=dict(stats.by_kind),
        vetoes=dict(stats.vetoes),
    )


def get_entries(call: ApiCall, payload: EntriesQuery) -> EntryPage:
    """A page of entries, newest first."""
    try:
        with _store_errors():
            page = browse.page_of(call.principal.organization_id, tag=payload.tag, cursor=payload.cursor or "")
    except ValueError:
        raise ApiError(400, "invalid_request", "This cursor is invalid.", param="cursor") from None
    may_read = call.principal.can("content:read")
    if may_read:
        note_reading(call.principal, "list of cache entries")
    return EntryPage(entries=[_entry_out(entry, may_read) for entry in page.entries], next_cursor=page.cursor or None)


def _entry_out(entry: Entry, may_read: bool) -> EntryOut:
    return EntryOut(
        entry_id=entry.id,
        question=entry.question if may_read else None,
        provider=entry.provider,
        model=entry.model,
        tags=list(entry.tags),
        origin=entry.origin,
        request_id=entry.request_id or None,
        user_id=entry.user_ref,
        created_at=datetime.fromtimestamp(entry.created_ms / 1000, UTC),
        expires_at=datetime.fromtimestamp(entry.expires_ms / 1000, UTC),
        hits=entry.hits,
        pinned=entry.pinned,
    )


def clear(call: ApiCall, payload: TagsIn) -> Removed:
    """Remove the entries with any of the tags, immediately and for all processes."""
    return _cleared(call, tags=payload.tags)


def clear_model(call: ApiCall, payload: ModelIn) -> Removed:
    """Remove one model's answers."""
    return _cleared(call, model=(payload.provider, payload.model))


def clear_all(call: ApiCall, _payload: NoParameters) -> Removed:
    """Remove every entry of the organization."""
    return _cleared(call, everything=True)


def _cleared(call: ApiCall, **what: Any) -> Removed:
    principal = call.principal
    with _store_errors():
        return Removed(removed=manage.clear(organization_id=principal.organization_id, actor=principal.actor, **what))


def remove(call: ApiCall, payload: EntryIn) -> Removed:
    """Remove one entry. Returns 0 if there is none."""
    principal = call.principal
    with _store_errors():
        known = manage.remove_entry(
            organization_id=principal.organization_id, entry_id=payload.entry_id, actor=principal.actor
        )
    return Removed(removed=int(known))


def store(call: ApiCall, payload: StoreIn) -> Stored:
    """Store an answer that the client vouches for. It is marked as given."""
    question = _question(call, payload)
    new_entry = new_entry_from(payload, api_key_id=call.principal.api_key_id)
    with _store_errors():
        entry_id = SemanticCache().store(question, new_entry, payer_of(question))
        manage.record_given(
            organization_id=call.principal.organization_id, entry_id=entry_id, actor=call.principal.actor
        )
    return Stored(entry_id=entry_id)


def look_up(call: ApiCall, payload: LookupIn) -> LookupOut:
    """Look up the cache without calling a provider."""
    result = look_up_only(payload, _question(call, payload))
    hit = result.hit
    if hit is None:
        best = result.candidates[0].similarity if result.candidates else None
        reason = result.explanation or result.reason
        return LookupOut(hit=False, layer=None, similarity=_rounded(best), entry_id=None, response=None, reason=reason)
    return LookupOut(
        hit=True,
        layer="exact" if hit.layer == "exact" else "semantic",
        similarity=_rounded(hit.similarity),
        entry_id=hit.entry_id,
        response=AnswerOut(
            role="assistant",
            content=str(hit.response["content"]),
            finish_reason=str(hit.response["finishReason"]),
        ),
        reason=hit.rule,
    )


def _rounded(similarity: float | None) -> float | None:
    return None if similarity is None else round(similarity, 4)


def _question(call: ApiCall, payload: QuestionIn) -> Question:
    return question_from(
        payload,
        organization_id=call.principal.organization_id,
        api_key_id=call.principal.api_key_id,
        log_in=str(call.http.user.get_username()) if call.principal.user_id else "",
    )


def pin(call: ApiCall, payload: PinIn) -> Pinned:
    """Protect an entry from eviction until it expires, or stop protecting it."""
    with _store_errors():
        known = manage.pin(
            organization_id=call.principal.organization_id,
            entry_id=payload.entry_id,
            pinned=payload.pinned,
            actor=call.principal.actor,
        )
    if not known:
        raise not_found()
    return Pinned(entry_id=payload.entry_id, pinned=payload.pinned)


def report(call: ApiCall, payload: ReportIn) -> Judged:
    """Report whether a cached answer was right for the request that it answered."""
    try:
        judging.report(
            organization_id=call.principal.organization_id,
            entry_id=payload.entry_id,
            request_id=UUID(payload.request_id),
            correct=payload.correct,
            actor=call.principal.actor,
            judged_by=JudgedBy.REPORT,
        )
    except (ValueError, judging.UnknownHitError):
        raise not_found() from None
    return Judged(entry_id=payload.entry_id, request_id=payload.request_id, correct=payload.correct)


cache = Endpoint(
    {
        ("GET", "stats"): Operation(get_stats, "cache:read", NoParameters, CacheStatsOut, "Get cache statistics"),
        ("GET", "entries"): Operation(get_entries, "cache:read", EntriesQuery, EntryPage, "List entries"),
        ("POST", "lookup"): Operation(look_up, "chat:write", LookupIn, LookupOut, "Look up an answer", once="claimed"),
        ("POST", "store"): Operation(
            store, "cache:write", StoreIn, Stored, "Store an answer", status=201, once="claimed"
        ),
        ("POST", "clear"): Operation(clear, "cache:write", TagsIn, Removed, "Remove entries by tag", once="claimed"),
        ("POST", "clear-model"): Operation(
            clear_model, "cache:write", ModelIn, Removed, "Remove a model's answers", once="claimed"
        ),
        ("POST", "clear-all"): Operation(
            clear_all, "cache:write", NoParameters, Removed, "Remove all entries", once="claimed"
        ),
        ("POST", "remove"): Operation(remove, "cache:write", EntryIn, Removed, "Remove an entry", once="claimed"),
        ("POST", "pin"): Operation(pin, "cache:write", PinIn, Pinned, "Pin or unpin an entry", once="claimed"),
        ("POST", "report"): Operation(
            report, "chat:write", ReportIn, Judged, "Report a hit as right or wrong", once="claimed"
        ),
    }
)

"""Submit a request: the cache answers if it can; otherwise the request is queued."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from django.db import DataError, IntegrityError

from aiinfra import database_time
from aiinfra.group_commit import grouped
from aiinfra.idempotency import KEPT
from cache_app import create_semantic_cache
from cache_app.facade import Hit, LookupResult, Payer
from cost_app.facade import CallTerms
from queue_app import events
from queue_app.caching import coalescing
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.packing import pack
from queue_app.submission import intake
from queue_app.submission.intake import Starter
from queue_app.submission.submission import Submission
from queue_app.webhooks import notify_end

logger = logging.getLogger(__name__)
cache = create_semantic_cache()

COALESCING_TRIES = 5
HANDOVER_PAUSE_S = 0.02
"""Pause before looking again at a leader that has ended without an answer and still has its flight."""


class CacheMissError(LookupError):
    """Only the cache was asked, and it has no answer. The message says why."""


def submit(
    submission: Submission, before_queueing: Callable[[], None] = lambda: None, starter: Starter | None = None
) -> AIRequest:
    """The request: ended if the cache answered, else pending, or started by the `starter`.

    `submission.cache_mode` says what the cache may do. `before_queueing` is called when the cache has no answer, before
    anything is stored; it may refuse by raising. A reused idempotency key returns the first
    request, for 24 hours. Raises
    CacheMissError in mode "only", and everything that `intake.accept` raises.
    """
    if earlier := intake.find_earlier(submission, KEPT):
        return earlier
    if submission.cache_mode == "bypass":
        before_queueing()
        return intake.accept(submission, starter=starter)
    started = time.perf_counter()
    terms = intake.call_terms(submission)
    lookup = _lookup(submission, terms)
    if lookup.hit and (request := _completed_from_cache(submission, terms, lookup, started)):
        return request
    if submission.cache_mode == "only":
        raise CacheMissError(lookup.explanation or lookup.reason)
    before_queueing()
    return _coalesce(submission, terms, lookup, started, starter)


def _lookup(submission: Submission, terms: CallTerms) -> LookupResult:
    question = intake.question_of(submission, terms)
    if submission.cache_mode == "refresh":
        return cache.prepare(question)
    payer = Payer(submission.organization_id, submission.api_key_id, submission.user_ref)
    return cache.look_up(question, payer, by_meaning=submission.cache_mode == "use")


def _coalesce(
    submission: Submission, terms: CallTerms, lookup: LookupResult, started: float, starter: Starter | None
) -> AIRequest:
    """Follow an identical request in progress, or become the one that others follow."""
    if submission.cache_mode != "use" or not lookup.may_share:
        return intake.accept(submission, terms, lookup, starter=starter)
    for _ in range(COALESCING_TRIES):
        leader = coalescing.leader_of(submission.organization_id, lookup.cache_key.entry_id)
        if leader is None:
            # A leader that ended between our lookup and now has left its answer.
            hit = cache.look_up_exact(lookup.cache_key)
            if hit and (request := _completed_from_cache(submission, terms, replace(lookup, hit=hit), started)):
                return request
            try:
                return intake.accept(submission, terms, lookup, flight=lookup.cache_key.entry_id, starter=starter)
            except intake.FlightTakenError:
                continue
        hit = coalescing.shareable_hit(leader, lookup.cache_key)
        if hit and (request := _completed_from_cache(submission, terms, replace(lookup, hit=hit), started)):
            return request
        if not coalescing.may_follow(leader, submission.priority):
            break
        if joined := coalescing.join(leader, lambda lead: intake.store(submission, terms, lookup, leader_id=lead)):
            events.publish_changes(joined)
            return joined
        time.sleep(HANDOVER_PAUSE_S)
    return intake.accept(submission, terms, lookup, starter=starter)


def _completed_from_cache(
    submission: Submission, terms: CallTerms, lookup: LookupResult, started: float
) -> AIRequest | None:
    """A request that the cache answered: it never enters the queue, and its money is booked with it.

    None if the database cannot store the answer, which an earlier release wrote: the provider is called instead.
    """
    hit = lookup.hit
    assert hit is not None  # noqa: S101 - for the type checker: callers look first
    try:
        request = grouped(partial(_store_completed, submission, terms, lookup, hit, started))
    except IntegrityError:
        if earlier := intake.find_earlier(submission):
            return earlier
        raise
    except (DataError, ValueError):
        logger.exception("cached answer cannot be served")
        return None
    coalescing.announce_hits([request], [hit.entry_id])
    return request


def _store_completed(
    submission: Submission, terms: CallTerms, lookup: LookupResult, hit: Hit, started: float
) -> AIRequest:
    now = database_time.now()
    request = intake.row_of(submission, terms, created_at=now, completed_at=now)
    request.status, request.cached, request.counted = Status.COMPLETED, True, True
    AIRequest.objects.insert(request)
    call = intake.call_of(submission, terms, lookup.cache_key)
    RequestContent.objects.create(
        organization_id=request.organization_id, request=request, call=pack(call), response=pack(hit.response)
    )
    coalescing.book_hit(request, lookup.cache_key, hit, round((time.perf_counter() - started) * 1000))
    notify_end(request)
    return request

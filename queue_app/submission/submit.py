"""Submit a request: the cache answers if it can; otherwise the request is queued."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from cache_app import create_semantic_cache
from cache_app.facade import LookupResult, Payer
from cost_app.facade import CallTerms
from queue_app import events
from queue_app.caching import coalescing
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.packing import pack
from queue_app.submission import intake
from queue_app.submission.intake import Submission

logger = logging.getLogger(__name__)
cache = create_semantic_cache()

FLIGHT_TRIES = 5
HANDING_OVER_S = 0.02
"""Pause before looking again at a leader that has ended without an answer and still has its flight."""


class CacheMissError(LookupError):
    """Only the cache was asked, and it has no answer. The message says why."""


def ask(submission: Submission, before_queueing: Callable[[], None] = lambda: None) -> AIRequest:
    """The request: ended if the cache answered, else pending. `submission.cache_mode` says what the cache may do.

    `before_queueing` is called when the cache has no answer, before anything is stored; it may refuse by raising. A
    reused idempotency key returns the first request. Raises CacheMissError in mode "only", and everything that
    `intake.accept` raises.
    """
    if earlier := intake.earlier(submission):
        return earlier
    if submission.cache_mode == "bypass":
        before_queueing()
        return intake.accept(submission)
    started = time.perf_counter()
    terms = intake.call_terms(submission)
    look = _look(submission, terms)
    if look.served and (request := _answered(submission, terms, look, started)):
        return request
    if submission.cache_mode == "only":
        raise CacheMissError(look.explanation or look.reason)
    before_queueing()
    return _fly(submission, terms, look, started)


def _look(submission: Submission, terms: CallTerms) -> LookupResult:
    question = intake.question_of(submission, terms)
    if submission.cache_mode == "refresh":
        return cache.prepare(question)
    payer = Payer(submission.organization_id, submission.api_key_id, submission.user_ref)
    return cache.look_up(question, payer, by_meaning=submission.cache_mode == "use")


def _fly(submission: Submission, terms: CallTerms, look: LookupResult, started: float) -> AIRequest:
    """Follow an equal request in progress, or become the one that others follow."""
    if submission.cache_mode != "use" or not look.may_share:
        return intake.accept(submission, terms, look)
    for _ in range(FLIGHT_TRIES):
        leader = coalescing.leader_of(submission.organization_id, look.cache_key.entry_id)
        if leader is None:
            # A leader that ended between our lookup and now has left its answer.
            served = cache.look_again(look.cache_key)
            if served and (request := _answered(submission, terms, replace(look, served=served), started)):
                return request
            try:
                return intake.accept(submission, terms, look, flight=look.cache_key.entry_id)
            except intake.FlightTakenError:
                continue
        served = coalescing.answer_of(leader, look.cache_key)
        if served and (request := _answered(submission, terms, replace(look, served=served), started)):
            return request
        if not coalescing.may_follow(leader, submission.priority):
            break
        if joined := coalescing.join(leader, lambda lead: intake.store(submission, terms, look, leader_id=lead)):
            events.changed(joined)
            return joined
        time.sleep(HANDING_OVER_S)
    return intake.accept(submission, terms, look)


def _answered(submission: Submission, terms: CallTerms, look: LookupResult, started: float) -> AIRequest | None:
    """A request that the cache answered: it never enters the queue, and its money is booked with it.

    None if the database cannot store the answer, which an earlier release wrote: the provider is called instead.
    """
    served = look.served
    assert served is not None  # noqa: S101 - for the type checker: callers look first
    try:
        with transaction.atomic():
            request = _store_answered(submission, terms, look, served.response)
            coalescing.book_hit(request, look.cache_key, served, round((time.perf_counter() - started) * 1000))
    except IntegrityError:
        if earlier := intake.earlier(submission):
            return earlier
        raise
    except (DataError, ValueError):
        logger.exception("an answer of the cache cannot be served")
        return None
    events.changed(request)
    return request


def _store_answered(
    submission: Submission, terms: CallTerms, look: LookupResult, response: dict[str, Any]
) -> AIRequest:
    now = timezone.now()
    request = intake.row_of(submission, terms, created_at=now, completed_at=now)
    request.status, request.cached, request.counted = Status.COMPLETED, True, True
    AIRequest.objects.insert(request)
    call = intake.call_of(submission, terms, look.cache_key)
    RequestContent.objects.create(
        organization_id=request.organization_id, request=request, call=pack(call), response=pack(response)
    )
    return request

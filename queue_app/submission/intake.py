"""Accept a request: one short transaction for row, content and first attempt; only then Redis.

Once this returns, the request cannot be lost. A Redis outage is not an error: index repair adds the row later.
"""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from django.db import IntegrityError
from redis.exceptions import RedisError

from aiinfra import database_time
from aiinfra.group_commit import grouped
from aiinfra.providers.registry import is_configured
from aiinfra.python_api import InvalidValueError
from aiinfra.redis import run_together
from aiinfra.tracing import spans
from cache_app import create_semantic_cache
from cache_app.facade import CacheKey, LookupResult, Question
from cost_app import create_cost_optimizer
from cost_app.facade import DEFAULT_OUTPUT_TOKENS, Attempt, AttemptOrder, CallTerms
from queue_app import events
from queue_app.models import ENDED, AIRequest, RequestContent, Status
from queue_app.ordering import index, tickets, turns
from queue_app.packing import pack
from queue_app.submission import key_rates
from queue_app.submission.room import place_in_queue
from queue_app.submission.submission import Submission

logger = logging.getLogger(__name__)
cache = create_semantic_cache()
cost = create_cost_optimizer()

TRACE = "trace"
"""Member of a stored call: the trace that its client's request belongs to. Only traced requests have it."""


class UnknownProviderError(InvalidValueError):
    """The provider is not configured."""


class IdempotencyConflictError(Exception):
    """The idempotency key was already used with a different request."""


class FlightTakenError(Exception):
    """Another request is already asking the same question, and this one may follow it."""


class Starter(Protocol):
    """Starts a request in the process that accepts it, so that it never enters the queue."""

    def reserved(self, submission: Submission, terms: CallTerms) -> AbstractContextManager[dict[str, Any]]:
        """Context in which the request is stored; gives the columns of a started row, none if it has to wait."""
        ...

    def admit(self, request: AIRequest, call: dict[str, Any], attempt: Attempt) -> None:
        """Called in the transaction, once the budgets have admitted the attempt."""
        ...


def accept(
    submission: Submission,
    terms: CallTerms | None = None,
    lookup: LookupResult | None = None,
    flight: str | None = None,
    starter: Starter | None = None,
) -> AIRequest:
    """Store a request and add it to the queue, unless the `starter` has started it: then it needs no room there.

    `terms` and `lookup` are what the caller already knows of it; with a `flight`, identical requests may follow it. A
    reused idempotency key returns the first request. Raises UnknownProviderError, ModelNotPricedError,
    BudgetRefusedError, QueueFullError, KeyRateError, IdempotencyConflictError and FlightTakenError; nothing is stored
    then.
    """
    if known := find_earlier(submission):
        return known
    if not is_configured(submission.provider):
        raise UnknownProviderError("provider", f"Unknown provider {submission.provider!r}.")
    terms = terms or call_terms(submission)
    if lookup is None and submission.cache_mode != "bypass":
        lookup = cache.prepare(question_of(submission, terms))
    try:
        charged = key_rates.charged(submission.key_limits, _order_of(submission, terms))
        with charged, starter.reserved(submission, terms) if starter else nullcontext({}) as started:
            columns = {"accepted_position": None if started else place_in_queue(submission), **started}
            columns |= {"starter": starter, "flight": flight}
            request = grouped(partial(store, submission, terms, lookup, **columns))
    except IntegrityError:
        if known := find_earlier(submission):
            return known
        if flight:
            raise FlightTakenError from None
        raise
    if request.status == Status.PENDING:
        enter(request, announce=True)
    else:
        events.publish_changes(request)
    return request


def _order_of(submission: Submission, terms: CallTerms) -> AttemptOrder:
    """What the request's key is charged for, before there is a row."""
    return AttemptOrder(
        organization_id=submission.organization_id,
        provider=terms.provider,
        model=terms.model,
        messages=submission.messages,
        max_tokens=terms.max_tokens or DEFAULT_OUTPUT_TOKENS,
        service_tier=submission.service_tier,
        parameters=submission.parameters,
        api_key_id=submission.api_key_id,
    )


def find_earlier(submission: Submission, lifetime: timedelta | None = None) -> AIRequest | None:
    """The earlier request with this idempotency key. Raises IdempotencyConflictError.

    With a `lifetime`, a request that was accepted longer ago and has ended frees its key.
    """
    if submission.idempotency_key is None:
        return None
    request = AIRequest.objects.filter(
        organization_id=submission.organization_id, idempotency_key=submission.idempotency_key
    ).first()
    if request and lifetime and request.status in ENDED and request.created_at < database_time.now() - lifetime:
        AIRequest.objects.filter(id=request.id).update(idempotency_key=None)
        return None
    if request and request.fingerprint != submission.fingerprint:
        raise IdempotencyConflictError("This idempotency key was already used with a different request.")
    return request


def call_terms(submission: Submission) -> CallTerms:
    """What the client asked for, changed by the recommendations that the organization has applied."""
    asked = CallTerms(
        provider=submission.provider,
        model=submission.model,
        max_tokens=submission.max_tokens,
        request_class=cost.classify(submission.messages, submission.max_tokens or 0, _named_class(submission.metadata)),
        priority=submission.priority,
        max_retries=submission.max_retries,
    )
    return cost.shape(submission.organization_id, asked)


def _named_class(metadata: Mapping[str, Any]) -> str:
    """The client's own classification: simple, complex or creative."""
    return str(metadata.get("requestType", ""))


def question_of(submission: Submission, terms: CallTerms) -> Question:
    """What the cache compares: the call as it would be made."""
    return Question(
        organization_id=submission.organization_id,
        provider=terms.provider,
        model=terms.model,
        messages=submission.messages,
        temperature=submission.temperature,
        max_tokens=terms.max_tokens,
        parameters=submission.answer_parameters,
        context_key=submission.context_key,
        api_key_id=submission.api_key_id,
        user_ref=submission.user_ref,
    )


def store(
    submission: Submission,
    terms: CallTerms,
    lookup: LookupResult | None,
    leader_id: UUID | None = None,
    starter: Starter | None = None,
    **columns: Any,
) -> AIRequest:
    """Write the rows of a new request, in the caller's transaction. A follower makes no call, and never starts."""
    request = row_of(submission, terms, leader_id=leader_id, **columns)
    AIRequest.objects.insert(request)
    call = call_of(submission, terms, lookup.storage_key if lookup else None)
    RequestContent.objects.create(organization_id=submission.organization_id, request=request, call=pack(call))
    if lookup and lookup.shadow_hit:
        cache.record_shadow(request_id=request.id, lookup=lookup, provider=terms.provider, model=terms.model)
    if leader_id is None:
        cost.record_uses(submission.organization_id, request.id, terms.uses)
        # Last: from here to the commit other calls wait for the budgets.
        attempt = cost.open_attempt(replace(attempt_order(request, call), request_class=terms.request_class))
        record_model(request, attempt)
        if starter is not None:
            starter.admit(request, call, attempt)
    return request


def record_model(request: AIRequest, attempt: Attempt) -> None:
    """Record on the row which model the current attempt calls, if a fallback or a budget chose another one."""
    asked = (attempt.provider, attempt.model) == (request.provider, request.model)
    next_model = "" if asked else attempt.name
    if request.next_model != next_model:
        request.next_model = next_model
        AIRequest.objects.change({"next_model": next_model}, id=request.id)


def call_of(submission: Submission, terms: CallTerms, cache_key: CacheKey | None) -> dict[str, Any]:
    """The call as stored for the worker."""
    return {
        **submission.call,
        "max_tokens": terms.max_tokens or DEFAULT_OUTPUT_TOKENS,
        "cache": cache_key.packed() if cache_key else None,
        **({TRACE: trace} if (trace := spans.carried()) else {}),
    }


def row_of(submission: Submission, terms: CallTerms, **columns: Any) -> AIRequest:
    """The request's row, not yet stored."""
    now = database_time.now()
    times = {"created_at": now, "not_before": terms.not_before or now}
    return AIRequest(
        organization_id=submission.organization_id,
        provider=terms.provider,
        model=terms.model,
        priority=submission.priority,
        max_retries=terms.max_retries,
        timeout_ms=submission.timeout_ms,
        api_key_id=submission.api_key_id,
        user_ref=submission.user_ref,
        conversation_id=submission.conversation_id,
        tags=list(submission.tags),
        metadata=dict(submission.metadata),
        cache_mode=submission.cache_mode,
        webhook=submission.webhook or None,
        idempotency_key=submission.idempotency_key,
        fingerprint=submission.fingerprint if submission.idempotency_key else "",
        **{**times, **columns},
    )


def attempt_order(request: AIRequest, call: dict[str, Any], model: tuple[str, str] | None = None) -> AttemptOrder:
    """The order for the request's current attempt, with its own or another (provider, model)."""
    provider, model_name = model or (request.provider, request.model)
    return AttemptOrder(
        organization_id=request.organization_id,
        provider=provider,
        model=model_name,
        messages=call["messages"],
        max_tokens=call["max_tokens"],
        service_tier=call.get("service_tier"),
        parameters=call.get("parameters", {}),
        request_id=request.id,
        number=request.attempt_number,
        api_key_id=request.api_key_id,
        user_ref=request.user_ref,
        tags=request.tags,
        priority=request.priority,
        request_class=_named_class(request.metadata),
    )


def enter(request: AIRequest, *, announce: bool = False) -> None:
    """Make a committed pending request visible to the workers. If Redis is down, index repair does it later.

    With `announce`, its status is published in the same round trip, before a worker can see the request.
    """
    scripts = [events.publication_of(request)] if announce else []
    if request.is_awaited:
        scripts.append(turns.awaiting(request.id))
    try:
        *_, woken, waiting = run_together([*scripts, index.admitting([request]), *tickets.waking()])
        tickets.push_unless_enough(woken, waiting)
    except RedisError as error:
        logger.warning("request not indexed yet: %s", error, extra={"fields": {"request": request.id}})

"""End an attempt. Each outcome is one transaction that books the money, and moves the request if the fence matches.

The money is always booked: a worker that lost its request still spent what it spent. Every outcome locks the request
before its attempt, as cancelling does, so that two of them cannot deadlock.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction

from aiinfra import database_time
from aiinfra.group_commit import grouped
from aiinfra.metrics import recorded
from aiinfra.one_by_one import one_by_one
from aiinfra.providers.base import ChatAnswer, Dialect, ErrorCode, ProviderError, TokenUsage
from aiinfra.providers.dialects.choosing import can_express
from aiinfra.providers.tokens import counted_usage
from aiinfra.redis import ScriptCall
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt, BudgetBusyError, BudgetRefusedError, ModelNotPricedError
from queue_app import events
from queue_app.caching import coalescing
from queue_app.caching.cache_answer import RECHECKS, WARMS, cache_answer, response_of
from queue_app.models import ENDED, AIRequest, RequestContent, Status
from queue_app.ordering import index, tickets
from queue_app.ordering.claims import Claim
from queue_app.packing import pack
from queue_app.processing.publishing import publish
from queue_app.processing.retry_policy import NextAttempt, next_attempt
from queue_app.submission.intake import attempt_order, enter, record_model
from queue_app.webhooks import notify_end

cost = create_cost_optimizer()

WORKER_LOST = "WORKER_LOST"
QUARANTINED = "QUARANTINED"
CRASHES_MAX = 3
BROKEN = "aiinfra could not process this request; see its logs for the reason"
BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
BUDGET_BUSY = "BUDGET_BUSY"


def complete(claim: Claim, attempt: Attempt, answer: ChatAnswer, report: Sequence[ScriptCall] = ()) -> bool:
    """Book the call and end the request with its answer, publish that, then store the answer in the cache.

    `report` runs in the round trip that publishes. False if the request was lost or cancelled in the meantime.
    """
    counted = None if answer.usage else _counted(claim, answer)
    response = pack(response_of(answer))

    def book() -> bool:
        ended = _end(claim.request, claim.attempt_number, Status.COMPLETED)
        if ended:
            RequestContent.objects.change({"response": response}, request_id=claim.request.id)
        if answer.usage:
            cost.settle(attempt, answer.usage, answer.raw_usage)
        else:
            cost.settle_uncounted(attempt, counted, answer.raw_usage)
        if ended:
            notify_end(claim.request)
        return ended

    ended = grouped(book)
    entry = replace(answer, usage=answer.usage or counted)
    keep = partial(cache_answer, claim, attempt, entry) if ended else None
    _left(claim, is_ours=ended, attempt=attempt, report=report, keep=keep)
    return ended


def _counted(claim: Claim, answer: ChatAnswer) -> TokenUsage | None:
    """The usage by our own token count. Not inside a transaction: a process's first count takes over a second."""
    tool_calls = [json.dumps(call.get("function")) for call in answer.tool_calls]
    return counted_usage(claim.call["messages"], [answer.content, *tool_calls])


def fail_attempt(claim: Claim, attempt: Attempt, error: ProviderError, report: Sequence[ScriptCall] = ()) -> None:
    """Book a failed call and take the next step of the retry policy: same model, next model, or fail the request.

    `report` as for `complete`.
    """

    def book() -> AIRequest | None:
        AIRequest.objects.select_for_update().only("id").filter(id=claim.request.id).first()
        cost.book_failure(attempt, error)
        step = _plan(claim, (attempt.provider, attempt.model), error)
        return _start_over_or_fail(claim, step, error.code.value, error.message)

    moved = grouped(book)
    _left(claim, moved, attempt=attempt, report=report)


def _plan(claim: Claim, current: tuple[str, str], error: ProviderError) -> NextAttempt | None:
    if error.has_begun:
        return None
    request = claim.request
    this_round = [a for a in cost.attempts_of([request.id]) if a.number >= request.first_attempt_number]
    called = [a for a in this_round if a.error_code not in {WORKER_LOST, ErrorCode.CIRCUIT_OPEN}]
    asked = (request.provider, request.model)
    # Another model's answer is no use to the cache, for which these requests exist: it is neither stored nor compared.
    is_for_the_cache = request.metadata == WARMS or RECHECKS in request.metadata
    fallback = [] if is_for_the_cache else _fallback(claim)
    return next_attempt(
        error,
        current=current,
        tried=[(a.provider, a.model) for a in called],
        waited=sum(a.error_code == ErrorCode.CIRCUIT_OPEN for a in this_round),
        chain=[asked, *fallback],
        max_retries=request.max_retries,
    )


def _fallback(claim: Claim) -> list[tuple[str, str]]:
    """The models to try next. Those of providers that cannot express the call are left out."""
    asked, call = claim.request, claim.call
    spoken = Dialect(call.get("dialect", Dialect.OPENAI)), call["messages"], call.get("parameters", {})
    chain = cost.fallback_chain(asked.organization_id, asked.provider, asked.model)
    return [(provider, model) for provider, model in chain if can_express(provider, *spoken)]


def _start_over_or_fail(claim: Claim, step: NextAttempt | None, code: str, message: str) -> AIRequest | None:
    """Take the next step. Without one, or without budget for it, the request fails."""
    moved = None
    try:
        moved = _start_over(claim, step) if step else None
    except BudgetRefusedError as refusal:
        message = f"{message.rstrip('.')}. Not retried: {refusal}"
        code = BUDGET_BUSY if isinstance(refusal, BudgetBusyError) else BUDGET_EXCEEDED
    if moved is None and _end(claim.request, claim.attempt_number, Status.FAILED, code, message):
        notify_end(claim.request)
    return moved


def _start_over(claim: Claim, step: NextAttempt) -> AIRequest | None:
    """Return the request to the queue with a new attempt. None if the fence no longer matches or the next model has no
    price.

    Raises BudgetRefusedError; nothing has changed then.
    """
    request = claim.request
    request.attempt_number = claim.attempt_number + 1
    request.not_before = database_time.now() + timedelta(seconds=step.delay_s)
    try:
        with transaction.atomic():
            ours = AIRequest.objects.filter(
                id=request.id, status=Status.PROCESSING, attempt_number=claim.attempt_number
            ).update(
                status=Status.PENDING,
                attempt_number=request.attempt_number,
                not_before=request.not_before,
                lease_until=None,
            )
            if not ours:
                return None
            order = attempt_order(request, claim.call, (step.provider, step.model))
            record_model(request, cost.open_attempt(order))
    except ModelNotPricedError:
        return None
    request.status = Status.PENDING
    return request


def recover(request: AIRequest, call: dict[str, Any]) -> None:
    """Take a request from a process that stopped renewing its lease. After the third time it is quarantined.

    A direct call had a client on the same process, who is gone too. It ends, because no one would read a second answer,
    unless an idempotency key can fetch it.
    """
    claim = Claim(request, call, request.attempt_number)
    with transaction.atomic():
        expired = AIRequest.objects.filter(
            id=request.id,
            status=Status.PROCESSING,
            attempt_number=claim.attempt_number,
            lease_until__lt=database_time.now(),
        )
        if not expired.update(crashes=request.crashes + 1):
            return
        transaction.on_commit(lambda: recorded.lease_lost(request.organization_id), robust=True)
        attempt = next(a for a in cost.attempts_of([request.id]) if a.number == claim.attempt_number)
        cost.abandon(request.id, claim.attempt_number, WORKER_LOST)
        again = NextAttempt(attempt.provider, attempt.model, delay_s=0) if request.crashes + 1 < CRASHES_MAX else None
        code, message = QUARANTINED, f"{request.crashes + 1} workers were lost while running this request"
        if request.is_direct and request.idempotency_key is None:
            again, code, message = None, ErrorCode.CALLER_LOST, "the connection of its client was lost during the call"
        moved = _start_over_or_fail(claim, again, code, message)
    _left(claim, moved)


def fail_broken(claim: Claim) -> None:
    """Fail a request that breaks every worker. Its attempt is free if it was never sent, else booked at its upper
    bound.
    """
    with transaction.atomic():
        AIRequest.objects.select_for_update().only("id").filter(id=claim.request.id).first()
        if _end(claim.request, claim.attempt_number, Status.FAILED, ErrorCode.INTERNAL_ERROR, BROKEN):
            one_by_one([claim], _abandon_broken, in_transaction=True)
            notify_end(claim.request)
    _left(claim)


def _abandon_broken(claim: Claim) -> None:
    cost.abandon(claim.request.id, claim.attempt_number, ErrorCode.INTERNAL_ERROR)


def stop(claim: Claim) -> None:
    """End a claim whose attempt must not be sent: the request was cancelled or taken over."""
    _left(claim)


def give_back(claim: Claim) -> None:
    """Return a claimed request unprocessed to its old place. A request that was lost or cancelled is left alone."""
    request = claim.request
    ours = AIRequest.objects.filter(
        id=request.id, status=Status.PROCESSING, attempt_number=claim.attempt_number
    ).update(status=Status.PENDING, lease_until=None)
    if ours:
        request.status = Status.PENDING
    _left(claim, request if ours else None)


def _left(
    claim: Claim,
    moved: AIRequest | None = None,
    *,
    is_ours: bool = False,
    attempt: Attempt | None = None,
    report: Sequence[ScriptCall] = (),
    keep: Callable[[], None] | None = None,
) -> None:
    """Publish the change, then `keep` the answer. A worker that lost the request publishes nothing: the new owner
    publishes its status.

    The index names a request, not an attempt: the new owner's claim looks like the lost one.
    """
    scripts = [*report]
    if is_ours or moved is not None or not _has_successor(claim):
        scripts.append(index.releasing([claim.entry]))
        scripts += [tickets.waking_if_ready()] if claim.request.is_direct else []
    request = moved or claim.request
    if moved is not None or request.status in ENDED:
        scripts.insert(0, events.publication_of(request, attempt))
    publish(claim, scripts)
    if moved is not None:
        enter(moved)  # last: no worker can see it before its event
        return
    if keep is not None:
        keep()
    coalescing.finish_leader(request)


def _has_successor(claim: Claim) -> bool:
    """Whether the request has moved on to another attempt: its worker was given up, or someone retried it."""
    return AIRequest.objects.filter(id=claim.request.id).exclude(attempt_number=claim.attempt_number).exists()


def _end(request: AIRequest, attempt_number: int, status: Status, error_code: str = "", message: str = "") -> bool:
    """The only way out of processing. False if the fence says that the request belongs to another attempt."""
    columns: dict[str, Any] = {
        "status": status,
        "completed_at": database_time.now(),
        "lease_until": None,
        "error_code": error_code,
        "error_message": message,
    }
    ended = AIRequest.objects.change(columns, id=request.id, status=Status.PROCESSING, attempt_number=attempt_number)
    if ended:
        for name, value in columns.items():
            setattr(request, name, value)
    return bool(ended)

"""Process one claimed request: the only place that calls a provider."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from django.db import OperationalError, close_old_connections, connections

from aiinfra import web_stopping
from aiinfra.failures import DATABASE_AWAY
from aiinfra.metrics import recorded
from aiinfra.one_by_one import AWAY
from aiinfra.providers import breaker
from aiinfra.providers.base import ChatAnswer, ChatCall, Dialect, ErrorCode, ProviderAdapter, ProviderError
from aiinfra.providers.call_spans import CHAT, call_span, describe
from aiinfra.providers.registry import ProviderNotConfiguredError, adapter_for
from aiinfra.redis import ScriptCall
from aiinfra.tenants.scope import organization_scope
from cost_app.facade import Attempt
from queue_app.models import AIRequest
from queue_app.ordering.claims import Claim
from queue_app.processing import in_flight, outcomes
from queue_app.processing.dispatching import dispatch
from queue_app.processing.processing_span import processing_span
from queue_app.processing.publishing import publish
from queue_app.processing.streamed import Receiver, answer_of
from queue_app.processing.write_gate import slot

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Outcome = ChatAnswer | ProviderError
WRITE_PAUSE_S = 1.0
OUTCOME_KEPT_S = 3600
"""How long an outcome that cannot be stored is kept. Its slot would have nothing else to do."""
OUTCOME_KEPT_STOPPING_S = 10
"""The same while the process stops, before its supervisor kills it."""


class OutcomeUnstoredError(OperationalError):
    """The call of a request was made, and the database does not store its outcome."""

    def __init__(self, request: AIRequest, outcome: Outcome) -> None:
        super().__init__("the outcome of a call is not stored")
        self.request = request
        self.outcome = outcome


def process(claim: Claim) -> None:
    """Run a claimed request's current attempt to its end. Raises the errors of an unavailable database or Redis."""
    with organization_scope(claim.request.organization_id), _failing_if_broken(claim):
        with slot():
            attempt = dispatch(claim)
        if attempt is not None:
            _call(claim, attempt)


def run(claim: Claim, attempt: Attempt, receiver: Receiver | None = None, kept_s: float = OUTCOME_KEPT_S) -> None:
    """Make a call that `start` or `dispatch` has marked as sent, and store its outcome; raises as `process` does.

    With a receiver, the call is streamed to it. Raises OutcomeUnstoredError, an error of an unavailable database, if
    the outcome could not be stored for `kept_s` seconds; `store` can try again.
    """
    with organization_scope(claim.request.organization_id), _failing_if_broken(claim):
        _call(claim, attempt, receiver, kept_s)


def store(claim: Claim, attempt: Attempt, outcome: Outcome) -> None:
    """Store an outcome that `run` did not store; raises as `process` does."""
    with organization_scope(claim.request.organization_id), _failing_if_broken(claim):
        finish(claim, attempt, outcome)


@contextmanager
def _failing_if_broken(claim: Claim) -> Iterator[None]:
    """Any failure other than an unavailable database or Redis would break the next worker too, so the request fails
    with INTERNAL_ERROR.
    """
    try:
        yield
    except AWAY:
        raise
    except Exception:
        logger.exception("request failed: internal error", extra={"fields": {"request": claim.request.id}})
        _write(claim, lambda: outcomes.fail_broken(claim))


def _call(claim: Claim, attempt: Attempt, receiver: Receiver | None = None, kept_s: float = OUTCOME_KEPT_S) -> None:
    close_old_connections()  # returned to the pool during the call: there are more slots than database connections
    with processing_span(claim, attempt) as span:
        outcome = call(claim, attempt, receiver)
        try:
            finish(claim, attempt, outcome, kept_s)
        except DATABASE_AWAY as error:
            raise OutcomeUnstoredError(claim.request, outcome) from error
        if span:
            span.set_attribute("aiinfra.request.status", claim.request.status)


def finish(claim: Claim, attempt: Attempt, outcome: Outcome, kept_s: float = OUTCOME_KEPT_S) -> None:
    """Book a call's outcome, move its request on, and publish that. An answer is reported to the circuit breaker in the
    same round trip.

    Tries again while the database is away or has no disk space, for `kept_s` seconds; then raises its error.
    """
    caller = (attempt.provider, attempt.model, claim.request.organization_id)
    report = [breaker.success(*caller)] if isinstance(outcome, ChatAnswer) else []
    try:
        _book(claim, attempt, outcome, report, kept_s)
    except AWAY:
        publish(claim, report)
        raise
    except Exception:
        logger.exception("outcome cannot be booked", extra={"fields": {"request": claim.request.id}})
        _book(claim, attempt, _unbookable(outcome), report, kept_s)


def call(claim: Claim, attempt: Attempt, receiver: Receiver | None = None) -> Outcome:
    """The answer or the error of a call that was marked as sent. An error is reported to the circuit breaker at once,
    an answer with what `finish` publishes.
    """
    try:
        return _ask(claim, attempt, receiver)
    except ProviderError as error:
        caller = (attempt.provider, attempt.model, claim.request.organization_id)
        breaker.record_error(*caller, error, claim.timeout.total_seconds())
        return error
    except Exception:
        logger.exception("provider call failed: internal error", extra={"fields": {"request": claim.request.id}})
        breaker.release_probe(attempt.provider, attempt.model)
        return ProviderError(
            ErrorCode.INTERNAL_ERROR, "The call failed because of an internal error in aiinfra.", may_be_billed=True
        )


def _book(claim: Claim, attempt: Attempt, outcome: Outcome, report: Sequence[ScriptCall], kept_s: float) -> None:
    if isinstance(outcome, ChatAnswer):
        _write(claim, lambda: outcomes.complete(claim, attempt, outcome, report), kept_s)
    else:
        _write(claim, lambda: outcomes.fail_attempt(claim, attempt, outcome, report), kept_s)


def _unbookable(outcome: Outcome) -> ProviderError:
    """The error to store if an outcome cannot be stored: it drops the text and keeps the cost."""
    may_be_billed = isinstance(outcome, ChatAnswer) or outcome.may_be_billed
    message = "The outcome of the call can't be stored."
    return ProviderError(ErrorCode.INTERNAL_ERROR, message, may_be_billed=may_be_billed, usage=outcome.usage)


def call_of(claim: Claim) -> ChatCall:
    """The stored call in the client's own words. Rows of earlier releases have fewer members."""
    return ChatCall(
        messages=claim.call["messages"],
        max_tokens=claim.call["max_tokens"],
        temperature=claim.call["temperature"],
        timeout_s=claim.timeout.total_seconds(),
        service_tier=claim.call.get("service_tier"),
        parameters=claim.call.get("parameters", {}),
        dialect=Dialect(claim.call.get("dialect", Dialect.OPENAI)),
        headers=claim.call.get("headers", {}),
    )


def _ask(claim: Claim, attempt: Attempt, receiver: Receiver | None = None) -> ChatAnswer:
    try:
        adapter = adapter_for(attempt.provider)
    except ProviderNotConfiguredError:
        message = f"The provider {attempt.provider} is no longer configured."
        raise ProviderError(ErrorCode.MODEL_NOT_FOUND, message, may_be_billed=False) from None
    asked, sent_at = call_of(claim), time.monotonic()
    named = {"stream": True if receiver else None, "max_tokens": asked.max_tokens, "temperature": asked.temperature}
    with call_span(CHAT, attempt.as_sent, **named) as span:
        answer = _answered(adapter, attempt, asked, receiver)
        first_token_s = answer.first_token_at - sent_at if answer.first_token_at else None
        if span:
            describe(span, answer, first_token_s)
    if first_token_s is not None:
        recorded.first_token((claim.request.organization_id, attempt.provider, attempt.model), first_token_s)
    return answer


def _answered(adapter: ProviderAdapter, attempt: Attempt, asked: ChatCall, receiver: Receiver | None) -> ChatAnswer:
    if receiver is None:
        return adapter.chat(attempt.as_sent, asked)
    return answer_of(adapter.stream(attempt.as_sent, asked), receiver)


def _write(claim: Claim, write: Callable[[], Result], kept_s: float = OUTCOME_KEPT_S) -> Result:
    """Retry the write: an answer is paid for, and neither a database outage nor a full disk must lose it."""
    began_at = time.monotonic()
    while True:
        try:
            with slot():
                return write()
        except DATABASE_AWAY:
            if time.monotonic() - began_at >= _patience_s(kept_s):
                raise
            logger.warning("outcome not written yet", exc_info=True)
        in_flight.prolong(claim)
        connections.close_all()
        time.sleep(WRITE_PAUSE_S)


def _patience_s(kept_s: float) -> float:
    is_stopping = in_flight.stopping.is_set() or web_stopping.is_stopping()
    return min(kept_s, OUTCOME_KEPT_STOPPING_S) if is_stopping else kept_s

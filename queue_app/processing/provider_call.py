"""Process one claimed request: the only place that calls a provider."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import close_old_connections, connections

from aiinfra.failures import DATABASE_AWAY
from aiinfra.one_by_one import AWAY
from aiinfra.providers import breaker
from aiinfra.providers.base import ChatAnswer, ChatCall, ErrorCode, ProviderError
from aiinfra.providers.registry import ProviderNotConfiguredError, adapter_for
from aiinfra.tenants.scope import organization_scope
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt
from queue_app.ordering.claims import Claim, mark_sent
from queue_app.processing import outcomes
from queue_app.processing.write_gate import slot
from queue_app.submission.intake import record_model

logger = logging.getLogger(__name__)
cost = create_cost_optimizer()

Result = TypeVar("Result")
WRITE_TRIES = 10
WRITE_PAUSE_S = 1.0


def process(claim: Claim) -> None:
    """Run a claimed request's current attempt to its end.

    Any failure other than an unavailable database or Redis would break the next worker too, so the request fails with
    INTERNAL_ERROR. Raises the errors of those two.
    """
    with organization_scope(claim.request.organization_id):
        try:
            _run(claim)
        except AWAY:
            raise
        except Exception:
            logger.exception("request failed: internal error", extra={"fields": {"request": claim.request.id}})
            _write(lambda: outcomes.fail_broken(claim))


def _run(claim: Claim) -> None:
    with slot():
        attempt = _dispatch(claim)
    if attempt is not None:
        _call(claim, attempt)


def _dispatch(claim: Claim) -> Attempt | None:
    """The attempt, marked as sent. None if the call must not be made; the claim is ended then."""
    attempt = cost.current_attempt(claim.request.id, claim.attempt_number)
    if _stood_elsewhere(claim, attempt):
        outcomes.give_back(claim)
        return None
    decision = breaker.allow(attempt.provider, attempt.model, claim.request.organization_id)
    if not decision.allowed:
        outcomes.fail_attempt(claim, attempt, _circuit_open(attempt, decision.retry_in_s))
        return None
    if not cost.dispatch(attempt, claim.timeout):
        breaker.release_probe(attempt.provider, attempt.model)
        outcomes.stop(claim)
        return None
    mark_sent(claim, attempt)
    close_old_connections()  # returned to the pool during the call: there are more slots than database connections
    return attempt


def _stood_elsewhere(claim: Claim, attempt: Attempt) -> bool:
    """Whether the index had the request under another model, so that the wrong provider limit was checked.

    Index repair's list of rows can be older than the last step of a fallback chain. The entry is corrected.
    """
    if claim.reserved is None or claim.reserved.model == attempt.name:
        return False
    record_model(claim.request, attempt)
    return True


def _circuit_open(attempt: Attempt, retry_in_s: float) -> ProviderError:
    message = f"{attempt.provider}/{attempt.model} failed too often and is not called for now"
    return ProviderError(ErrorCode.CIRCUIT_OPEN, message, may_be_billed=False, retry_after_s=retry_in_s)


def _call(claim: Claim, attempt: Attempt) -> None:
    outcome = _outcome(claim, attempt)
    try:
        _book(claim, attempt, outcome)
    except AWAY:
        raise
    except Exception:
        logger.exception("outcome cannot be booked", extra={"fields": {"request": claim.request.id}})
        _book(claim, attempt, _unbookable(outcome))


def _outcome(claim: Claim, attempt: Attempt) -> ChatAnswer | ProviderError:
    """The answer or the error, which is also reported to the circuit breaker."""
    caller = (attempt.provider, attempt.model, claim.request.organization_id)
    try:
        answer = _ask(claim, attempt)
    except ProviderError as error:
        breaker.record_error(*caller, error, claim.timeout.total_seconds())
        return error
    except Exception:
        logger.exception("a call broke", extra={"fields": {"request": claim.request.id}})
        breaker.release_probe(attempt.provider, attempt.model)
        return ProviderError(ErrorCode.INTERNAL_ERROR, "the call failed: internal error in aiinfra", may_be_billed=True)
    breaker.record_success(*caller)
    return answer


def _book(claim: Claim, attempt: Attempt, outcome: ChatAnswer | ProviderError) -> None:
    if isinstance(outcome, ChatAnswer):
        _write(lambda: outcomes.complete(claim, attempt, outcome))
    else:
        _write(lambda: outcomes.fail_attempt(claim, attempt, outcome))


def _unbookable(outcome: ChatAnswer | ProviderError) -> ProviderError:
    """The error to store if an outcome cannot be stored: it drops the text and keeps the cost."""
    may_be_billed = isinstance(outcome, ChatAnswer) or outcome.may_be_billed
    message = "the outcome of the call cannot be stored"
    return ProviderError(ErrorCode.INTERNAL_ERROR, message, may_be_billed=may_be_billed, usage=outcome.usage)


def _ask(claim: Claim, attempt: Attempt) -> ChatAnswer:
    call = ChatCall(
        messages=claim.call["messages"],
        max_tokens=claim.call["max_tokens"],
        temperature=claim.call["temperature"],
        timeout_s=claim.timeout.total_seconds(),
        service_tier=claim.call.get("service_tier"),
    )
    try:
        adapter = adapter_for(attempt.provider)
    except ProviderNotConfiguredError:
        message = f"the provider {attempt.provider} is no longer configured"
        raise ProviderError(ErrorCode.MODEL_NOT_FOUND, message, may_be_billed=False) from None
    return adapter.chat(attempt.as_sent, call)


def _write(write: Callable[[], Result]) -> Result:
    """Retry the write: a provider's answer is paid for, and a brief database outage must not lose it."""
    for _ in range(WRITE_TRIES - 1):
        try:
            with slot():
                return write()
        except DATABASE_AWAY:
            logger.warning("outcome not written yet", exc_info=True)
            connections.close_all()
            time.sleep(WRITE_PAUSE_S)
    with slot():
        return write()

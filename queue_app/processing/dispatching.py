"""Start calls: claim a request and record in the same transaction that its call is sent now.

So a lost worker has either changed nothing, or its call may have been sent. Callers that claim first and call later
(`AIRequestQueue.dequeue`) dispatch their claim in a separate transaction.
"""

import logging

from aiinfra.group_commit import grouped
from aiinfra.one_by_one import AWAY
from aiinfra.providers import breaker
from aiinfra.providers.base import ErrorCode, ProviderError
from aiinfra.redis import run_together
from aiinfra.tenants.scope import organization_scope
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt
from queue_app import events
from queue_app.models import DIRECT
from queue_app.ordering import claims, index
from queue_app.ordering.claims import Claim
from queue_app.ordering.index import IndexEntry
from queue_app.processing import outcomes
from queue_app.processing.publishing import publish
from queue_app.submission.intake import record_model

logger = logging.getLogger(__name__)
cost = create_cost_optimizer()

ALLOWED = breaker.Decision(True)


def next_entry() -> tuple[IndexEntry | None, bool]:
    """The best request's entry, taken out of the index, and whether every circuit is closed. One round trip.

    Raises RedisError.
    """
    claimed, all_closed = run_together([index.claiming(), breaker.all_closed()])
    return IndexEntry.parse(*claimed) if claimed else None, bool(all_closed)


def start(entry: IndexEntry, worker: str, *, all_closed: bool = False) -> tuple[Claim, Attempt] | None:
    """Claim the entry's request and mark its attempt as sent: the caller must call now, then `finish`.

    None if the call must not be made; the entry is released and the claim, if there was one, is ended then. With
    `all_closed` the circuit breaker is not asked. Raises the errors of an unavailable database.
    """
    with organization_scope(entry.organization_id):
        try:
            return _start(entry, worker, all_closed=all_closed)
        except AWAY:
            raise
        except Exception:
            logger.exception("request cannot be started", extra={"fields": {"request": entry.request_id}})
            _fail(entry, worker)
            return None


def _start(entry: IndexEntry, worker: str, *, all_closed: bool) -> tuple[Claim, Attempt] | None:
    request = claims.pending(entry)
    if request is None:
        claims.release(entry)
        return None
    request.is_awaited = worker.startswith(DIRECT)
    claim = claims.claim_of(request, entry)
    attempt = cost.current_attempt(request.id, claim.attempt_number)
    decision = ALLOWED if all_closed else _ask_breaker(claim, attempt)
    may_send = decision.allowed and not _has_stale_entry(claim, attempt)

    def take_and_send() -> tuple[bool, bool]:
        is_ours = claims.take(request, worker)
        return is_ours, is_ours and may_send and cost.dispatch(attempt, claim.timeout)

    is_ours, is_sent = grouped(take_and_send)
    if is_sent:
        publish(claim, [events.publication_of(request), *claims.sending(claim, attempt)])
        return claim, attempt
    if is_ours:
        events.publish_changes(request)
        _end_unsent(claim, attempt, decision)
    else:
        breaker.release_probe(attempt.provider, attempt.model)
        claims.release(entry)
    return None


def dispatch(claim: Claim) -> Attempt | None:
    """Mark the attempt of a claimed request as sent: the caller must call now, then `finish`.

    None if the call must not be made; the claim is ended then.
    """
    attempt = cost.current_attempt(claim.request.id, claim.attempt_number)
    decision = _ask_breaker(claim, attempt)
    if decision.allowed and not _has_stale_entry(claim, attempt) and cost.dispatch(attempt, claim.timeout):
        claims.mark_sent(claim, attempt)
        return attempt
    _end_unsent(claim, attempt, decision)
    return None


def _ask_breaker(claim: Claim, attempt: Attempt) -> breaker.Decision:
    """A request that will be given back does not become the probe."""
    if _has_stale_entry(claim, attempt):
        return ALLOWED
    return breaker.allow(attempt.provider, attempt.model, claim.request.organization_id)


def _has_stale_entry(claim: Claim, attempt: Attempt) -> bool:
    """Whether the index had the request under another model, so that the wrong provider limit was checked.

    Index repair's list of rows can be older than the last step of a fallback chain.
    """
    return claim.reserved is not None and claim.reserved.model != attempt.name


def _end_unsent(claim: Claim, attempt: Attempt, decision: breaker.Decision) -> None:
    """End a claim whose call must not be made: the entry was wrong, the circuit is open, or the attempt has ended."""
    if _has_stale_entry(claim, attempt):
        record_model(claim.request, attempt)
        outcomes.give_back(claim)
    elif not decision.allowed:
        outcomes.fail_attempt(claim, attempt, _circuit_open(attempt, decision.retry_in_s))
    else:
        breaker.release_probe(attempt.provider, attempt.model)
        outcomes.stop(claim)


def _circuit_open(attempt: Attempt, retry_in_s: float) -> ProviderError:
    message = f"{attempt.provider}/{attempt.model} failed too often and is not called for now."
    return ProviderError(ErrorCode.CIRCUIT_OPEN, message, may_be_billed=False, retry_after_s=retry_in_s)


def _fail(entry: IndexEntry, worker: str) -> None:
    """Fail a request that would break every worker that starts it."""
    request = claims.pending(entry)
    if request is not None and claims.take(request, worker):
        outcomes.fail_broken(Claim(request, {}, request.attempt_number, entry))
    else:
        claims.release(entry)

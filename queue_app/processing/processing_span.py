"""The spans of a request that is processed, in the trace of the client that sent it."""

from django.conf import settings

from aiinfra import database_time
from aiinfra.tracing import spans
from aiinfra.tracing.spans import NO_SPAN, MaybeSpan
from cost_app.facade import Attempt
from queue_app.ordering.claims import Claim
from queue_app.submission.intake import TRACE


def processing_span(claim: Claim, attempt: Attempt) -> MaybeSpan:
    """A span around one attempt, after one for its time in the queue; None without tracing.

    A request whose client is not traced begins a trace here.
    """
    return _processing_span(claim, attempt) if settings.TRACING else NO_SPAN


def _processing_span(claim: Claim, attempt: Attempt) -> MaybeSpan:
    request, trace = claim.request, claim.call.get(TRACE, {})
    if trace and _has_waited(claim):
        _record_wait(claim)
    attributes = {
        "aiinfra.request.id": str(request.id),
        "aiinfra.organization.id": request.organization_id,
        "aiinfra.lane": "direct" if request.is_direct else "worker",
        "aiinfra.priority": request.get_priority_display().lower(),
        "aiinfra.attempt.number": attempt.number,
    }
    return spans.span("process request", "INTERNAL" if request.is_direct else "CONSUMER", attributes, trace)


def _has_waited(claim: Claim) -> bool:
    """Not a direct call that started when it was accepted."""
    request = claim.request
    return not request.is_direct or claim.attempt_number > 1 or request.started_at != request.created_at


def _record_wait(claim: Claim) -> None:
    """From acceptance to the claim; for a later attempt, from its earliest start."""
    request = claim.request
    is_first = claim.attempt_number == 1
    began = request.created_at if is_first else request.not_before
    ended = request.started_at if is_first and request.started_at else database_time.now()
    spans.record("queue wait", began, ended, claim.call[TRACE])

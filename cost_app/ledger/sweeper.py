"""Finding out what calls cost whose end we did not see.

A call that left and never came back is booked at its bound. Where the provider can tell per call what it charged, the
booking is corrected to that; most providers cannot, and their bookings stay marked as estimated.
"""

import logging

from django.utils import timezone

from aiinfra.one_by_one import one_by_one
from aiinfra.providers.base import BillState, TokenUsage
from aiinfra.providers.registry import adapter_for
from aiinfra.tenants.scope import system_scope
from cost_app.ledger.attempts import estimate, refund, settle
from cost_app.models import Attempt, AttemptState

logger = logging.getLogger(__name__)

BATCH = 200
WORKER_LOST = "WORKER_LOST"
Bill = tuple[BillState, TokenUsage | None]


def sweep_unknown_outcomes() -> int:
    """Book or correct the calls whose deadline has passed; returns how many were looked at."""
    silent: set[str] = set()
    with system_scope():
        unknown = Attempt.objects.filter(
            state__in=[AttemptState.DISPATCHED, AttemptState.ESTIMATED], deadline_at__lt=timezone.now()
        )
        oldest = unknown.select_related("price").order_by("deadline_at")[:BATCH]
        one_by_one(oldest, lambda attempt: _sweep(attempt, silent), give_up=_ask_later)
        return len(oldest)


def _sweep(attempt: Attempt, silent: set[str]) -> None:
    """`silent` are the providers that have not answered in this round."""
    estimate(attempt, WORKER_LOST)
    bill = _bill_of(attempt) if attempt.provider not in silent else None
    if bill is None:
        silent.add(attempt.provider)
    _correct(attempt, bill)


def _bill_of(attempt: Attempt) -> Bill | None:
    """None where the provider does not answer; it is not asked again before the next sweep."""
    try:
        return adapter_for(attempt.provider).bill_of(attempt.id)
    except Exception:
        logger.warning("bill look-up failed", extra={"fields": {"attempt": attempt.id}}, exc_info=True)
        return None


def _correct(attempt: Attempt, bill: Bill | None) -> None:
    match bill:
        case BillState.BILLED, TokenUsage() as usage:
            settle(attempt, usage, {"source": "provider look-up"})
        case BillState.NOT_BILLED, _:
            refund(attempt)
        case ((BillState.BILLED | BillState.CANNOT_SAY), _):
            Attempt.objects.filter(id=attempt.id).update(deadline_at=None)
        case _:
            _ask_later(attempt)  # running, or no answer


def _ask_later(attempt: Attempt) -> None:
    """To the end of the line, so that those which stay unknown do not block the others."""
    Attempt.objects.filter(id=attempt.id).update(deadline_at=timezone.now())

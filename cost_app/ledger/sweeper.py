"""Finds out what calls with an unknown outcome cost.

A call that was sent and never returned is booked at its maximum cost. If the provider can report what it charged per
call, the booking is corrected; most providers cannot, and their bookings stay marked as estimated.
"""

import logging
from functools import cache

from django.db.models import Q

from aiinfra import database_time
from aiinfra.one_by_one import one_by_one
from aiinfra.providers.base import BillState, TokenUsage
from aiinfra.providers.registry import adapter_for
from aiinfra.tenants.scope import Prepared, system_scope
from aiinfra.tenants.statements import Parameter
from cost_app.ledger.attempts import estimate, refund, settle
from cost_app.models import Attempt
from cost_app.models.ledger import UNKNOWN_OUTCOME

logger = logging.getLogger(__name__)

BATCH = 200
WORKER_LOST = "WORKER_LOST"
Bill = tuple[BillState, TokenUsage | None]


@cache
def _oldest(count: int) -> Prepared[list[Attempt]]:
    """The calls that have been overdue longest. Prepared, because it runs often and usually finds none."""
    is_overdue = Q(UNKNOWN_OUTCOME, deadline_at__lt=Parameter("now", "deadline_at"))
    return Attempt.objects.prepare_select(
        lambda rows: rows.filter(is_overdue).select_related("price").order_by("deadline_at")[:count]
    )


def sweep_unknown_outcomes() -> int:
    """Book or correct the calls whose timeout has passed; returns how many were checked."""
    silent: set[str] = set()
    with system_scope():
        oldest = _oldest(BATCH).run(now=database_time.now())
        one_by_one(oldest, lambda attempt: _sweep(attempt, silent), give_up=_ask_later)
        return len(oldest)


def _sweep(attempt: Attempt, silent: set[str]) -> None:
    """`silent` are the providers that have not answered in this run."""
    estimate(attempt, WORKER_LOST)
    bill = _bill_of(attempt) if attempt.provider not in silent else None
    if bill is None:
        silent.add(attempt.provider)
    _correct(attempt, bill)


def _bill_of(attempt: Attempt) -> Bill | None:
    """None if the provider does not respond. It is not asked again before the next sweep."""
    try:
        return adapter_for(attempt.provider).bill_of(attempt.id)
    except Exception:
        logger.warning("bill lookup failed", extra={"fields": {"attempt": attempt.id}}, exc_info=True)
        return None


def _correct(attempt: Attempt, bill: Bill | None) -> None:
    match bill:
        case BillState.BILLED, TokenUsage() as usage:
            settle(attempt, usage, {"source": "provider lookup"})
        case BillState.NOT_BILLED, _:
            refund(attempt)
        case ((BillState.BILLED | BillState.CANNOT_SAY), _):
            Attempt.objects.filter(id=attempt.id).update(deadline_at=None)
        case _:
            _ask_later(attempt)  # still running, or no answer


def _ask_later(attempt: Attempt) -> None:
    """Move it to the end of the queue, so that unknown calls do not block the others."""
    Attempt.objects.filter(id=attempt.id).update(deadline_at=database_time.now())

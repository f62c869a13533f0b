"""Attempts that booked nothing: the only ones that may be deleted."""

from collections.abc import Iterable
from uuid import UUID

from cost_app.models import Attempt, AttemptState, Hold


def forget(request_ids: Iterable[UUID]) -> None:
    """Delete the attempts of these requests that ended before they were sent, with their holds, which hold nothing.

    An outage leaves many: a request that waits for a circuit breaker opens one with each try. What was sent is in the
    ledger, and stays.
    """
    unsent = Attempt.objects.filter(
        request_id__in=list(request_ids), state=AttemptState.RELEASED, dispatched_at=None, ledger_entries=None
    )
    ids = list(unsent.values_list("id", flat=True))
    Hold.objects.filter(attempt_id__in=ids).delete()
    Attempt.objects.filter(id__in=ids).delete()

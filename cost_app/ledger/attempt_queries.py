"""Attempts as other parts of the product ask for them."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from aiinfra import database_time
from aiinfra.tenants.statements import Parameter
from cost_app.models import Attempt, LedgerEntry, LedgerKind
from cost_app.models import AttemptState as State
from cost_app.models.ledger import UNKNOWN_OUTCOME

NEWEST_ENTRIES = 20_000
"""More than the limits of all providers allow per minute."""
FAILED_SHOWN = 1_000


def attempts_of(request_ids: Iterable[UUID]) -> list[Attempt]:
    """The attempts of these requests, in order of their numbers."""
    match list(request_ids):
        case []:
            return []
        case [request_id]:
            return _attempts_of_one.run(request_id=request_id)
        case several:
            return list(Attempt.objects.filter(request_id__in=several).order_by("number"))


_attempts_of_one = Attempt.objects.prepare_select(
    lambda rows: rows.filter(request_id=Parameter("request_id")).order_by("number")
)


def sent_within(seconds: int) -> Iterator[tuple[str, UUID, datetime]]:
    """(`provider/model`, attempt, time) of the calls sent within the last seconds, or ended then: no earlier ones.

    Reads the calls in progress and the newest entries of the ledger, whatever its size.
    """
    since = database_time.now() - timedelta(seconds=seconds)
    out = Attempt.objects.filter(UNKNOWN_OUTCOME, deadline_at__gt=since)
    for attempt in out.filter(dispatched_at__gt=since):
        yield attempt.name, attempt.id, attempt.dispatched_at or since
    # Usage reported from outside may have any time, and so does not show where the minute begins.
    ended = LedgerEntry.objects.filter(kind__in=[LedgerKind.USAGE, LedgerKind.FAILED]).order_by("-id")
    for entry in ended.only("at", "calls", "provider", "model", "attempt_id")[:NEWEST_ENTRIES].iterator():
        if entry.at < since:
            return
        if entry.calls and entry.attempt_id:
            yield f"{entry.provider}/{entry.model}", entry.attempt_id, entry.at


def failed_requests(provider: str, model: str, error_code: str = "") -> list[UUID]:
    """The requests behind a model's newest failed attempts (`FAILED_SHOWN` of them), optionally of one error code.

    Includes requests that another attempt answered.
    """
    failed = Attempt.objects.filter(provider=provider, model=model).exclude(error_code="")
    newest = failed.order_by("-created_at").values_list("request_id", "error_code")[:FAILED_SHOWN]
    return list({request_id for request_id, code in newest if request_id and error_code in {"", code}})


def reserved_requests() -> list[UUID]:
    """The requests that have an attempt with a reservation that was not sent."""
    waiting = Attempt.objects.filter(state=State.RESERVED, request_id__isnull=False)
    return [request_id for request_id in waiting.values_list("request_id", flat=True) if request_id]

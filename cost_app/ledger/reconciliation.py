"""Checks that ledger, attempts, holds, windows and rollups agree. Reads only; for `manage.py reconcile`.

ledger = attempts: the rows of an attempt add up to its cost. attempts = holds = windows: an attempt takes what it
reserves or costs from each window, and a window is the sum of that. ledger = rollups by hour and day: every folded row
counts.
"""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import BigIntegerField, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from aiinfra import database_time
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.ledger.rollups import differences
from cost_app.models import Attempt, AttemptState, BudgetWindow, Hold, LedgerKind, PendingUsage

OVERDUE = timedelta(seconds=60)
"""Sweeper and fold run every few seconds; anything older than this was missed by them."""
OPEN_STATES = (AttemptState.RESERVED, AttemptState.DISPATCHED)


def disagreements() -> Iterator[str]:
    """One sentence for each attempt, hold, window or rollup that does not match the ledger."""
    with system_scope():
        yield from _attempts_against_ledger()
        yield from _overdue()
        yield from _holds_against_attempts()
        yield from _windows_against_holds()
        organizations = list(Organization.objects.values_list("id", flat=True))
    for organization_id in organizations:
        with organization_scope(organization_id):
            yield from differences(organization_id)


def _attempts_against_ledger() -> Iterator[str]:
    attempts = Attempt.objects.annotate(booked=Coalesce(Sum("ledger_entries__nano"), 0))
    for attempt in attempts.exclude(booked=F("cost_nano")).iterator():
        yield f"attempt {attempt.id} cost {attempt.cost_nano} nano-dollars, its ledger entries say {attempt.booked}"


def _overdue() -> Iterator[str]:
    before = database_time.now() - OVERDUE
    for sent in Attempt.objects.filter(state=AttemptState.DISPATCHED, deadline_at__lt=before).iterator():
        yield f"attempt {sent.id} was sent at {sent.dispatched_at} but its outcome was never booked"
    reported = [LedgerKind.EXTERNAL, LedgerKind.CACHE_HIT]  # at the time of the call, which may be long ago
    late = PendingUsage.objects.filter(entry__at__lt=before).exclude(entry__kind__in=reported).count()
    if late:
        yield f"{late} ledger entries older than a minute are missing from the hourly and daily rollups"


def _holds_against_attempts() -> Iterator[str]:
    is_open = Q(attempt__state__in=OPEN_STATES)
    wrong = Hold.objects.filter(
        (is_open & ~Q(reserved_nano=F("attempt__bound_nano"), committed_nano=0))
        | (~is_open & ~Q(reserved_nano=0, committed_nano=F("attempt__cost_nano")))
    )
    for hold in wrong.select_related("attempt").iterator():
        attempt = hold.attempt
        yield (
            f"attempt {attempt.id} ({attempt.state}, bound {attempt.bound_nano}, cost {attempt.cost_nano}) holds "
            f"{hold.reserved_nano} and has spent {hold.committed_nano} nano-dollars of window {hold.window_id}"
        )


def _windows_against_holds() -> Iterator[str]:
    windows = BudgetWindow.objects.annotate(held=_sum("reserved_nano"), spent=_sum("committed_nano"))
    for window in windows.exclude(held=F("reserved_nano"), spent=F("committed_nano") - F("opening_nano")).iterator():
        yield (
            f"window {window.id} of budget {window.budget_id} says {window.reserved_nano} held and "
            f"{window.committed_nano} spent, of which {window.opening_nano} by its opening sum; its holds say "
            f"{window.held} and {window.spent} nano-dollars"
        )


def _sum(column: str) -> Coalesce:
    of_window = Hold.objects.filter(window=OuterRef("id")).order_by().values("window").annotate(total=Sum(column))
    return Coalesce(Subquery(of_window.values("total"), output_field=BigIntegerField()), 0)

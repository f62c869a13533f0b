"""Writes the ledger: every row is queued for the rollups in the same transaction."""

from typing import Any

from django.db import transaction

from aiinfra.metrics import recorded
from cost_app.models import LedgerEntry, LedgerKind, PendingUsage

TOKENS = ("input", "cache_read", "cache_write", "output", "reasoning")
OWN_CALLS = (LedgerKind.USAGE, LedgerKind.FAILED)


@transaction.atomic(savepoint=False)
def book_entry(**columns: Any) -> LedgerEntry:
    """Write one row. The arguments are the columns of `LedgerEntry`; amounts are nano-dollars."""
    entry = LedgerEntry.objects.create(**columns)  # type: ignore[misc]  # the plugin takes ** for one argument
    PendingUsage.objects.create(organization_id=entry.organization_id, entry=entry)
    transaction.on_commit(lambda: _record(entry), robust=True)
    return entry


def _record(entry: LedgerEntry) -> None:
    call = (entry.organization_id, entry.provider, entry.model)
    if entry.kind == LedgerKind.CACHE_HIT:
        recorded.saved(call, entry.saved_nano)
        return
    recorded.booked(call, entry.nano, {name: getattr(entry, f"{name}_tokens") for name in TOKENS})
    if entry.calls and entry.kind in OWN_CALLS:
        error = entry.attempt.error_code if entry.attempt else ""
        recorded.attempt_ended(call, _outcome(entry), error, entry.latency_ms)


def _outcome(entry: LedgerEntry) -> str:
    """Whether the provider answered; `unknown` if it may have."""
    if not entry.errors:
        return "success"
    return "unknown" if entry.estimated else "failure"

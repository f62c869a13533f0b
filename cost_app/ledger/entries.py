"""Writes the ledger: every row is queued for the rollups in the same transaction."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from cost_app.models import LedgerEntry, PendingUsage


@transaction.atomic(savepoint=False)
def book_entry(**columns: Any) -> LedgerEntry:
    """Write one row. The arguments are the columns of `LedgerEntry`; amounts are nano-dollars."""
    entry = LedgerEntry.objects.create(**columns)  # type: ignore[misc]  # the plugin takes ** for one argument
    PendingUsage.objects.create(organization_id=entry.organization_id, entry=entry)
    return entry


@transaction.atomic(savepoint=False)
def book_entries(entries: Sequence[LedgerEntry]) -> None:
    """Write many rows at once."""
    made = LedgerEntry.objects.bulk_create(entries, batch_size=500)
    PendingUsage.objects.bulk_create(
        [PendingUsage(organization_id=entry.organization_id, entry=entry) for entry in made], batch_size=500
    )

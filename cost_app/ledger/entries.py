"""Writes the ledger: every row is queued for the rollups in the same transaction."""

from typing import Any

from django.db import transaction

from cost_app.models import LedgerEntry, PendingUsage


@transaction.atomic(savepoint=False)
def book_entry(**columns: Any) -> LedgerEntry:
    """Write one row. The arguments are the columns of `LedgerEntry`; amounts are nano-dollars."""
    entry = LedgerEntry.objects.create(**columns)  # type: ignore[misc]  # the plugin takes ** for one argument
    PendingUsage.objects.create(organization_id=entry.organization_id, entry=entry)
    return entry

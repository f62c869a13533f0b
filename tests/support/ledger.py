"""Writing many ledger rows at once."""

from collections.abc import Sequence

from django.db import transaction

from cost_app.models import LedgerEntry, PendingUsage


@transaction.atomic
def book_entries(entries: Sequence[LedgerEntry]) -> None:
    """Write entries and their pending usage rows, like `book_entry`."""
    made = LedgerEntry.objects.bulk_create(entries, batch_size=500)
    PendingUsage.objects.bulk_create(
        [PendingUsage(organization_id=entry.organization_id, entry=entry) for entry in made], batch_size=500
    )

"""Erasing the files and batches of a user, or all of an organization's."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from aiinfra.batches.models import Batch, BatchLine, BatchStatus, StoredFile

Count = Callable[[str, int], None]
ERASED_VALUES: dict[str, Any] = {"metadata": {}, "errors": [], "webhook": None}


def erase_files(until: datetime, user_ref: str, count: Count) -> None:
    """Delete the files in the scope that the user uploaded before a time; everyone's for ""."""
    rows = StoredFile.objects.filter(created_at__lte=until, **({"user_ref": user_ref} if user_ref else {}))
    for file in rows.only("id"):
        with transaction.atomic():
            deleted = StoredFile.objects.filter(id=file.id).delete()[1]
            count("files", deleted.get("batches.StoredFile", 0))


def erase_batches(until: datetime, user_ref: str, pseudonym: str, count: Count) -> None:
    """End the user's batches and erase their metadata; everyone's for "". Their requests are erased elsewhere."""
    rows = Batch.objects.filter(created_at__lte=until, **({"user_ref": user_ref} if user_ref else {}))
    for batch in rows.exclude(user_ref=pseudonym).only("id", "finished_at"):
        with transaction.atomic():
            open_one = Batch.objects.filter(id=batch.id, finished_at=None)
            open_one.update(
                status=BatchStatus.CANCELLED, failed=F("total") - F("completed"), finished_at=timezone.now()
            )
            BatchLine.objects.filter(batch=batch).delete()
            count("batches", Batch.objects.filter(id=batch.id).update(**ERASED_VALUES, user_ref=pseudonym))

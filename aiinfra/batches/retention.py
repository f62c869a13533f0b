"""Deletes files past their retention: that of prompts and answers, or their own expiry if it is sooner.

Finished batches are kept as long as requests.
"""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from aiinfra.batches import files
from aiinfra.batches.models import Batch, StoredFile
from aiinfra.tenants.privacy.holds import held
from aiinfra.tenants.privacy.retention import due
from aiinfra.tenants.scope import system_scope

EVERY_S = 3600
BATCH = 50


def jobs() -> list[tuple[float, Callable[[], object]]]:
    """(seconds between two runs, function)"""
    return [(EVERY_S, delete_expired)]


def delete_expired() -> int:
    """Delete everything past its retention in all organizations, except under a legal hold; returns the number of
    files.
    """
    with system_scope():
        ended = StoredFile.objects.filter(held("user_ref"), expires_at__lt=timezone.now())
        found = _delete_all(ended)
        for each in due():
            found += _delete_all(each.of(StoredFile.objects.filter(created_at__lt=each.contents_before)))
            _delete_batches(each.of(Batch.objects.filter(finished_at__lt=each.requests_before)))
    return found


def _delete_batches(rows: "QuerySet[Any]") -> None:
    while ids := list(rows.values_list("id", flat=True)[:BATCH]):
        Batch.objects.filter(id__in=ids).delete()


def _delete_all(rows: "QuerySet[Any]") -> int:
    deleted = 0
    while found := list(rows.only("id")[:BATCH]):
        deleted += files.delete(found)
    return deleted

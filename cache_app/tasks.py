"""The cache's scheduled jobs. Several schedulers may run them at once."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

from aiinfra.one_by_one import one_by_one
from aiinfra.scheduled import IfWaiting
from aiinfra.tenants.privacy.retention import due
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app.embedding.base import Payer
from cache_app.embedding.vector_cache import embed_together
from cache_app.learning import judging
from cache_app.learning.proposals import propose_thresholds
from cache_app.metrics.counts import delete_old_counts
from cache_app.metrics.folding import fold_counts
from cache_app.models import CacheHit
from cache_app.store import browse, entries, janitor

Jobs = list[tuple[float, Callable[[], object]]]
"""(interval in seconds, function to run)"""

WAITING = 50
BATCH = 500
NO_TEXTS = {"question": "", "cached_question": "", "answer": "", "fresh_answer": ""}


def jobs() -> Jobs:
    """Jobs that must not be late."""
    return [(1, IfWaiting(is_any_to_embed, embed_waiting)), (5, fold_counts), (60, apply_blocks)]


def slow_jobs() -> Jobs:
    """Jobs that may take minutes."""
    return [(3600, clean_up_entries), (3600, clean_up_rows), (3600, propose_thresholds)]


def is_any_to_embed() -> bool:
    """Whether an entry was stored without a vector. Raises RedisError."""
    return browse.is_any_waiting_for_vectors(janitor.organizations())


def embed_waiting() -> int:
    """Embed entries that were stored without a vector, up to 50 per organization. Returns how many were embedded.

    Texts that cannot be embedded now keep waiting: exact matches find them. Raises RedisError.
    """
    embedded: list[int] = []
    one_by_one(janitor.organizations(), lambda organization_id: embedded.append(_embed(organization_id)))
    return sum(embedded)


def apply_blocks() -> None:
    """Apply judgments that Redis missed. Raises RedisError."""
    with system_scope():
        judging.apply_blocks()


def clean_up_entries() -> None:
    """Free what expired entries have left in Redis. Raises RedisError."""
    one_by_one(janitor.organizations(), janitor.clean_up)


def clean_up_rows() -> None:
    """Delete old counts, the texts of hits with the contents of requests, and hits with their requests."""
    with system_scope():
        delete_old_counts()
        for each in due():
            _empty_texts(each.of(CacheHit.objects.filter(at__lt=each.contents_before)))
            _drop_hits(each.of(CacheHit.objects.filter(at__lt=each.requests_before)))


def _embed(organization_id: int) -> int:
    waiting = browse.waiting_for_vectors(organization_id, WAITING)
    with organization_scope(organization_id):
        vectors = embed_together(((entry.question, entry.partition) for entry in waiting), Payer(organization_id))
    found = [(entry.id, vectors.get((entry.question, entry.partition))) for entry in waiting]
    return sum(entries.add_vector(organization_id, name, vector) for name, vector in found if vector is not None)


def _empty_texts(hits: "QuerySet[Any]") -> None:
    """In batches, which keep each transaction short."""
    old = hits.exclude(**NO_TEXTS)
    while ids := list(old.values_list("id", flat=True)[:BATCH]):
        CacheHit.objects.filter(id__in=ids).update(**NO_TEXTS)


def _drop_hits(hits: "QuerySet[Any]") -> None:
    """Only hits that have been counted."""
    old = hits.filter(counted=True)
    while ids := list(old.values_list("id", flat=True)[:BATCH]):
        CacheHit.objects.filter(id__in=ids).delete()

"""Erasing a user's questions and answers from the cache, or an organization's."""

from collections.abc import Callable

from django.db import transaction
from django.db.models import Q

from aiinfra.names import normal_name
from cache_app.models import CacheHit
from cache_app.store import browse, clearing
from cache_app.store.scripts import client, prefix

BATCH = 500
NO_TEXTS = {"question": "", "cached_question": "", "answer": "", "fresh_answer": ""}

Count = Callable[[str, int], None]
IsTheirs = Callable[[list[str]], set[str]]
"""Which of these requests are to be erased."""


def erase_all(organization_id: int, pseudonym: str, count: Count) -> None:
    """Remove every entry and the texts of every hit. Raises RedisError."""
    count("cache entries", clearing.clear_all(organization_id))
    _forget_changes(organization_id)
    _empty_hits(Q(), pseudonym, count)


def erase_user(organization_id: int, user_ref: str, is_theirs: IsTheirs, pseudonym: str, count: Count) -> None:
    """Remove the entries that a user's requests filled, and the texts of hits that show them. Raises RedisError."""
    removed, cursor, more = 0, "", True
    while more:
        page = browse.page_of(organization_id, cursor=cursor, count=BATCH)
        theirs = is_theirs([entry.request_id for entry in page.entries])
        names = [
            each.id for each in page.entries if normal_name(each.user_ref) == user_ref or each.request_id in theirs
        ]
        _empty_hits(Q(entry_id__in=names), pseudonym, count, keep_user=True)
        removed += sum(clearing.delete(organization_id, name) for name in names)
        cursor, more = page.cursor, bool(page.cursor)
    count("cache entries", removed)
    _forget_changes(organization_id)
    _empty_hits(Q(user_ref=user_ref), pseudonym, count)


def _forget_changes(organization_id: int) -> None:
    """The stream of changes has vectors of removed questions. Readers notice that it is gone, and read all again."""
    client().delete(prefix(organization_id) + "log")


def _empty_hits(where: Q, pseudonym: str, count: Count, *, keep_user: bool = False) -> None:
    """Another user's hit on an erased entry keeps its user and loses its texts."""
    changes = NO_TEXTS if keep_user else {**NO_TEXTS, "user_ref": pseudonym}
    left = CacheHit.objects.filter(where).exclude(**changes)
    while ids := list(left.values_list("id", flat=True)[:BATCH]):
        with transaction.atomic():
            count("cache hits", CacheHit.objects.filter(id__in=ids).update(**changes))

"""Entries as the pages show them. Everything here raises RedisError, except reading hits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import QuerySet

from aiinfra.tenants.models import ApiKey
from cache_app.models import CacheHit, JudgedPair
from cache_app.store import browse
from cache_app.store.entry import Entry

PAGE_SIZE = 25
LOOKED_AT_MAX = 1_000
"""Maximum entries scanned per page, so that a rare model's page loads quickly; the next page continues from there."""
HITS_SHOWN = 20


@dataclass(frozen=True)
class Narrowed:
    """List filters. Empty fields do not filter. `model` is "provider/model"."""

    entry_id: str = ""
    tag: str = ""
    model: str = ""


@dataclass(frozen=True)
class Row:
    """One entry."""

    entry: Entry

    @property
    def model(self) -> str:
        """As "provider/model"."""
        return f"{self.entry.provider}/{self.entry.model}"

    @property
    def created_at(self) -> datetime:
        """When the answer was stored."""
        return datetime.fromtimestamp(self.entry.created_ms / 1000, UTC)

    @property
    def expires_at(self) -> datetime:
        """When it leaves, used or not."""
        return datetime.fromtimestamp(self.entry.expires_ms / 1000, UTC)

    @property
    def answer(self) -> str:
        """The text that is served."""
        return str(self.entry.response.get("content", ""))


@dataclass(frozen=True)
class Listed:
    """Some entries, newest first, and where the next page starts ("" after the last one)."""

    rows: Sequence[Row]
    cursor: str = ""


@dataclass(frozen=True)
class Detail:
    """One entry with what the database knows about it."""

    row: Row
    key: ApiKey | None
    hits: Sequence[CacheHit]
    wrong: Sequence[JudgedPair]

    @property
    def embedder(self) -> str:
        """The embedder that compared it last; the entry itself only has its hash."""
        return next((hit.embedder for hit in self.hits), "")


def listed(organization_id: int, narrowed: Narrowed, cursor: str = "") -> Listed:
    """One page. Raises ValueError for an invalid cursor."""
    if narrowed.entry_id:
        found = browse.entry(organization_id, narrowed.entry_id)
        return Listed([row for row in [Row(found)] if _matches(row, narrowed)] if found else [])
    rows: list[Row] = []
    for _ in range(LOOKED_AT_MAX // PAGE_SIZE):
        page = browse.page_of(organization_id, tag=narrowed.tag or None, cursor=cursor, count=PAGE_SIZE)
        rows += [row for row in map(Row, page.entries) if _matches(row, narrowed)]
        cursor = page.cursor
        if not cursor or len(rows) >= PAGE_SIZE:
            break
    return Listed(rows, cursor)


def _matches(row: Row, narrowed: Narrowed) -> bool:
    has_tag = not narrowed.tag or narrowed.tag in row.entry.tags
    return has_tag and narrowed.model in {"", row.model, row.entry.model}


def detail(organization_id: int, entry_id: str) -> Detail | None:
    """An entry, its key, its last hits and the questions that it must not answer: three queries. None if it is gone."""
    found = browse.entry(organization_id, entry_id)
    if found is None:
        return None
    key = ApiKey.objects.filter(id=found.api_key_id).first() if found.api_key_id else None
    return Detail(Row(found), key, list(_hits(entry_id)), list(_wrong(entry_id)))


def _hits(entry_id: str) -> "QuerySet[CacheHit]":
    hits = CacheHit.objects.filter(entry_id=entry_id).order_by("-at")
    return hits.defer("answer", "fresh_answer", "cached_question")[:HITS_SHOWN]


def _wrong(entry_id: str) -> "QuerySet[JudgedPair]":
    return JudgedPair.objects.filter(entry_id=entry_id, is_right=False).order_by("-at")[:HITS_SHOWN]

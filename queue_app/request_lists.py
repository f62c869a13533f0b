"""Reads pages of requests, with filters."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet, TextField, Value
from django.db.models.functions import Cast, StrIndex
from django.utils import timezone

from aiinfra.keyset import cursor_at, place_at, side
from cost_app import create_cost_optimizer
from queue_app.models import AIRequest, Priority, Status
from queue_app.queries import request_by_id

cost = create_cost_optimizer()

PAGE_SIZE = 50
PLACE = ("created_at", "id")
SEARCHED = 10_000
"""Requests that one page of a filtered list looks at: no filter reads the whole history at once."""
NEWER_MAX = 100


@dataclass(frozen=True)
class RequestFilter:
    """List filters. Empty fields do not filter."""

    status: str = ""
    priority: Priority | None = None
    provider: str = ""
    model: str = ""
    user_ref: str = ""
    conversation_id: str = ""
    request_id: str = ""
    held_only: bool = False
    """Only those whose next attempt is not due yet."""
    failed_at: str = ""
    """`provider/model` of a failed attempt. Only the newest 1,000 count."""
    error_code: str = ""
    """Of that attempt; without a model, of the request itself."""
    since: datetime | None = None
    until: datetime | None = None
    """Accepted at `since` or later, and before `until`."""
    key_id: str = ""
    tag: str = ""
    cached: bool | None = None
    oldest_first: bool = False
    """The order of the list: by time only, which has an index. Cost and latency have none."""


@dataclass(frozen=True)
class Sums:
    """What all attempts of a request add up to."""

    cost_nano: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class RequestList:
    """Requests in the order of the filter, and where the next page starts (None at the end).

    A page of a filter can be short, even empty, and still have a next one: see `SEARCHED`.
    """

    requests: list[AIRequest]
    sums: dict[UUID, Sums] = field(default_factory=dict)
    next_cursor: str | None = None


def page_of(narrowed: RequestFilter, cursor: str | None = None, size: int = PAGE_SIZE) -> RequestList:
    """One page by keyset: as fast at the end as at the start. Raises ValueError for an invalid cursor."""
    rows = _ordered(narrowed)
    if cursor:
        rows = rows.filter(side(PLACE, place_at(AIRequest, PLACE, cursor), "gt" if narrowed.oldest_first else "lt"))
    rows, edge = _searched(rows, narrowed)
    found = list(_narrow(rows, narrowed)[: size + 1])
    requests = found[:size]
    last = (requests[-1].created_at, requests[-1].id) if found[size:] else edge
    return RequestList(requests, sums_of(requests), cursor_at(last) if last else None)


def sums_of(requests: Iterable[AIRequest]) -> dict[UUID, Sums]:
    """Request id -> sums, for those that have attempts; one query."""
    sums: dict[UUID, Sums] = defaultdict(Sums)
    for attempt in cost.attempts_of(request.id for request in requests):
        if attempt.request_id:
            before = sums[attempt.request_id]
            sums[attempt.request_id] = Sums(before.cost_nano + attempt.cost_nano, before.tokens + attempt.usage.total)
    return dict(sums)


def count_newer(narrowed: RequestFilter, cursor: str) -> int:
    """How many requests of the filter came in after the one at the cursor: at most `NEWER_MAX`.

    Without a cursor all count. Raises ValueError for an invalid cursor.
    """
    rows = _ordered(narrowed)
    if cursor:
        rows = rows.filter(side(PLACE, place_at(AIRequest, PLACE, cursor), "gt"))
    rows, _ = _searched(rows, narrowed)
    return len(_narrow(rows, narrowed).values_list("id")[:NEWER_MAX])


def cursor_of(request: AIRequest) -> str:
    """The place of a request in the list: a page that starts there begins with the next one."""
    return cursor_at((request.created_at, request.id))


def _ordered(narrowed: RequestFilter) -> "QuerySet[AIRequest]":
    """The requests of the period, in order; the index `request_by_age` serves both directions."""
    order = ("created_at", "id") if narrowed.oldest_first else ("-created_at", "-id")
    rows = AIRequest.objects.order_by(*order)
    if narrowed.since:
        rows = rows.filter(created_at__gte=narrowed.since)
    if narrowed.until:
        rows = rows.filter(created_at__lt=narrowed.until)
    return rows


def _searched(
    rows: "QuerySet[AIRequest]", narrowed: RequestFilter
) -> tuple["QuerySet[AIRequest]", tuple[datetime, UUID] | None]:
    """The first `SEARCHED` rows, and the place of the last of them; all rows and None where they are fewer."""
    if not _needs_search(narrowed):
        return rows, None
    places: list[tuple[datetime, UUID]] = list(rows.values_list(*PLACE)[SEARCHED - 1 : SEARCHED])
    if not places:
        return rows, None
    return rows.filter(side(PLACE, places[0], "lte" if narrowed.oldest_first else "gte")), places[0]


def _needs_search(narrowed: RequestFilter) -> bool:
    indexed = narrowed.request_id or narrowed.held_only or narrowed.failed_at or narrowed.error_code
    return not indexed and narrowed != RequestFilter(
        since=narrowed.since, until=narrowed.until, oldest_first=narrowed.oldest_first
    )


def _narrow(rows: "QuerySet[AIRequest]", narrowed: RequestFilter) -> "QuerySet[AIRequest]":
    equal = {
        "status": narrowed.status,
        "priority": narrowed.priority,
        "provider": narrowed.provider,
        "model": narrowed.model,
        "user_ref": narrowed.user_ref,
        "conversation_id": narrowed.conversation_id,
        "api_key__key_id": narrowed.key_id,
    }
    rows = rows.filter(**{name: value for name, value in equal.items() if value})
    if narrowed.cached is not None:
        rows = rows.filter(cached=narrowed.cached)
    if narrowed.tag:
        rows = rows.annotate(at=StrIndex(Cast("tags", TextField()), Value(_quoted(narrowed.tag)))).filter(at__gt=0)
    if narrowed.held_only:
        rows = rows.filter(status=Status.PENDING, not_before__gt=timezone.now())
    if narrowed.failed_at:
        provider, _, model = narrowed.failed_at.partition("/")
        rows = rows.filter(id__in=cost.failed_requests(provider, model, narrowed.error_code))
    elif narrowed.error_code:
        rows = rows.filter(error_code=narrowed.error_code)
    if narrowed.request_id:
        found = request_by_id(narrowed.request_id.strip())
        rows = rows.filter(id=found.id) if found else rows.none()
    return rows


def _quoted(tag: str) -> str:
    """A tag as the stored list writes it. SQLite keeps the text that Django wrote; PostgreSQL normalizes it."""
    return json.dumps(tag, ensure_ascii=connection.vendor == "sqlite")

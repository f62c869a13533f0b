"""Read requests: one with its attempts, or a page of them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet, TextField, Value
from django.db.models.functions import Cast, StrIndex
from django.utils import timezone
from redis.exceptions import RedisError

from aiinfra.keyset import cursor_at, place_at, side
from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.scope import system_scope
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt, AttemptState
from queue_app.models import ENDED, AIRequest, Priority, RequestContent, Status
from queue_app.ordering import index
from queue_app.packing import unpack

cost = create_cost_optimizer()

PAGE_SIZE = 50
PLACE = ("created_at", "id")
SEARCHED = 10_000
"""Requests that one page of a filtered list looks at: no filter reads the whole history at once."""
MAX_NEWER = 100
CHARGED = (AttemptState.SETTLED, AttemptState.ESTIMATED)


@dataclass(frozen=True)
class RequestStatus:
    """A request as a client may see it. `content` is None for callers who cannot read it."""

    request: AIRequest
    attempts: Sequence[Attempt]
    position: int | None = None
    messages: list[dict[str, Any]] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    response: dict[str, Any] | None = None

    @property
    def status(self) -> str:
        """pending, processing, completed, failed or cancelled."""
        return self.request.status

    @property
    def error(self) -> str | None:
        """The last error message. None unless the request failed."""
        return self.request.error_message or self.request.error_code or None

    @property
    def is_cost_estimated(self) -> bool:
        """Whether a call is booked at its upper bound because the provider has not reported the actual cost."""
        return any(attempt.state == AttemptState.ESTIMATED for attempt in self.attempts)

    @property
    def cost_nano(self) -> int:
        """Nano-dollars of all attempts, including failed ones."""
        return sum(attempt.cost_nano for attempt in self.attempts)

    @property
    def usage(self) -> TokenUsage | None:
        """Tokens of the attempt that answered, counted here if the provider did not report them. None if unknown."""
        if self.request.status != Status.COMPLETED:
            return None
        answered = next((a for a in reversed(self.attempts) if a.state in CHARGED and not a.error_code), None)
        return answered.usage if answered and answered.usage.total else None


def request_by_id(request_id: UUID | str) -> AIRequest | None:
    """The request in scope. None if it is missing, belongs to another tenant, or the ID is malformed."""
    try:
        return AIRequest.objects.fetch(id=UUID(str(request_id)))
    except ValueError:
        return None


def request_of_key(idempotency_key: str) -> AIRequest | None:
    """The request in scope that was accepted with this idempotency key, however long ago."""
    return AIRequest.objects.filter(idempotency_key=idempotency_key).first()


def statuses_among(request_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The status of each of the requests in scope; those that have been deleted are missing. One query."""
    return dict(AIRequest.objects.filter(id__in=list(request_ids)).values_list("id", "status"))


def has_ended(request_id: UUID) -> bool:
    """Whether the request in scope has ended. One query that reads no content."""
    return AIRequest.objects.filter(id=request_id, status__in=ENDED).exists()


def ended_among(request_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the requests, of any organization, that have ended. One query that reads no content."""
    with system_scope():
        return set(AIRequest.objects.filter(id__in=list(request_ids), status__in=ENDED).values_list("id", flat=True))


def first_with_key(since: datetime, api_key_id: int | None) -> AIRequest | None:
    """The first request since then that came with this API key, or with any. Reads the index by age."""
    chosen = {"api_key_id": api_key_id} if api_key_id else {"api_key__isnull": False}
    return AIRequest.objects.filter(created_at__gte=since, **chosen).order_by("created_at", "id").first()


def status_of(request: AIRequest, *, with_content: bool) -> RequestStatus:
    """Everything about one request."""
    content = RequestContent.objects.fetch(request_id=request.id) if with_content else None
    call = unpack(content.call) if content else {}
    return RequestStatus(
        request=request,
        attempts=cost.attempts_of([request.id]),
        position=_position(request),
        messages=call["messages"] if content else None,
        parameters=call.get("parameters", {}),
        response=unpack(content.response) if content and content.response else None,
    )


@dataclass(frozen=True)
class Conversation:
    """The messages of a completed request through its answer, without its instructions."""

    request_id: UUID
    messages: list[dict[str, Any]]
    response: dict[str, Any]


def conversations_of(request_ids: Iterable[UUID], api_key_id: int | None) -> list[Conversation]:
    """Those of completed requests in scope that an API key has sent in OpenAI's dialect and that can be continued, as
    long as content is kept.

    One query. None for a caller without a key.
    """
    rows = RequestContent.objects.filter(
        request_id__in=list(request_ids),
        request__api_key_id=api_key_id,
        request__api_key__isnull=False,
        request__status=Status.COMPLETED,
    )
    read = [(row.request_id, unpack(row.call), unpack(row.response)) for row in rows if row.response]
    return [
        Conversation(id_, _without_instructions(call), answer)
        for id_, call, answer in read
        if "dialect" not in call and "is_last" not in call
    ]


def _without_instructions(call: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = call["messages"]
    return messages[1:] if "has_instructions" in call else messages


def _position(request: AIRequest) -> int | None:
    if request.status != Status.PENDING or request.leader_id is not None:
        return None
    try:
        return index.position_of(request)
    except RedisError:
        return None


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
    """How many requests of the filter came in after the one at the cursor: at most `MAX_NEWER`.

    Without a cursor all count. Raises ValueError for an invalid cursor.
    """
    rows = _ordered(narrowed)
    if cursor:
        rows = rows.filter(side(PLACE, place_at(AIRequest, PLACE, cursor), "gt"))
    rows, _ = _searched(rows, narrowed)
    return len(_narrow(rows, narrowed).values_list("id")[:MAX_NEWER])


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

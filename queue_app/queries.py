"""Reading requests: one with its attempts, or a page of them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from aiinfra.providers.base import TokenUsage
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt, AttemptState
from queue_app.models import AIRequest, Priority, RequestContent, Status
from queue_app.ordering import index
from queue_app.packing import unpack

cost = create_cost_optimizer()

PAGE_SIZE = 50
CHARGED = (AttemptState.SETTLED, AttemptState.ESTIMATED)


@dataclass(frozen=True)
class RequestStatus:
    """A request as a client may see it; content is None for those who may not read it."""

    request: AIRequest
    attempts: Sequence[Attempt]
    position: int | None = None
    messages: list[dict[str, Any]] | None = None
    response: dict[str, Any] | None = None

    @property
    def status(self) -> str:
        """pending, processing, completed, failed or cancelled."""
        return self.request.status

    @property
    def error(self) -> str | None:
        """What went wrong last, in words; None unless it failed."""
        return self.request.error_message or self.request.error_code or None

    @property
    def is_cost_estimated(self) -> bool:
        """Whether a call is booked at its upper bound, because the provider has not told its figure."""
        return any(attempt.state == AttemptState.ESTIMATED for attempt in self.attempts)

    @property
    def cost_nano(self) -> int:
        """Nano-dollars of all attempts, the failed ones included."""
        return sum(attempt.cost_nano for attempt in self.attempts)

    @property
    def usage(self) -> TokenUsage | None:
        """Tokens of the attempt that answered, counted here where its provider did not; None where nobody knows."""
        if self.request.status != Status.COMPLETED:
            return None
        answered = next((a for a in reversed(self.attempts) if a.state in CHARGED and not a.error_code), None)
        return answered.usage if answered and answered.usage.total else None


def request_by_id(request_id: UUID | str) -> AIRequest | None:
    """The request in scope; None for a missing one, another tenant's, or what is no id at all."""
    try:
        return AIRequest.objects.filter(id=UUID(str(request_id))).first()
    except ValueError:
        return None


def status_of(request: AIRequest, *, with_content: bool) -> RequestStatus:
    """Everything about one request."""
    content = RequestContent.objects.filter(request=request).first() if with_content else None
    return RequestStatus(
        request=request,
        attempts=cost.attempts_of([request.id]),
        position=_position(request),
        messages=unpack(content.call)["messages"] if content else None,
        response=unpack(content.response) if content and content.response else None,
    )


def _position(request: AIRequest) -> int | None:
    if request.status != Status.PENDING or request.leader_id is not None:
        return None
    try:
        return index.position_of(request)
    except RedisError:
        return None


@dataclass(frozen=True)
class RequestFilter:
    """What a list is narrowed to; empty fields narrow nothing."""

    status: str = ""
    priority: Priority | None = None
    provider: str = ""
    model: str = ""
    user_ref: str = ""
    conversation_id: str = ""
    request_id: str = ""
    held_only: bool = False
    """Those whose next attempt is not due."""
    failed_at: str = ""
    """`provider/model` of a failed attempt: the newest 1,000 count."""
    error_code: str = ""
    """Of that attempt; without a model, of the request itself."""


@dataclass(frozen=True)
class Page:
    """Requests, newest first, and where the next page starts (None at the end)."""

    requests: list[AIRequest]
    costs: dict[UUID, int] = field(default_factory=dict)
    next_cursor: str | None = None


def page_of(narrowed: RequestFilter, cursor: str | None = None, size: int = PAGE_SIZE) -> Page:
    """One page by keyset: as quick at the end as at the start. Raises ValueError for a cursor that is none."""
    rows = _narrow(AIRequest.objects.order_by("-created_at", "-id"), narrowed)
    if cursor:
        at, request_id = _decode(cursor)
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, id__lt=request_id))
    requests = list(rows[: size + 1])
    more = requests[size:]
    requests = requests[:size]
    costs: dict[UUID, int] = {}
    for attempt in cost.attempts_of(request.id for request in requests):
        if attempt.request_id:
            costs[attempt.request_id] = costs.get(attempt.request_id, 0) + attempt.cost_nano
    return Page(requests, costs, _encode(requests[-1]) if more else None)


def _narrow(rows: "QuerySet[AIRequest]", narrowed: RequestFilter) -> "QuerySet[AIRequest]":
    equal = {
        "status": narrowed.status,
        "priority": narrowed.priority,
        "provider": narrowed.provider,
        "model": narrowed.model,
        "user_ref": narrowed.user_ref,
        "conversation_id": narrowed.conversation_id,
    }
    rows = rows.filter(**{name: value for name, value in equal.items() if value})
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


def _encode(request: AIRequest) -> str:
    return urlsafe_b64encode(f"{request.created_at.isoformat()}|{request.id}".encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, UUID]:
    """Raises ValueError (also UnicodeDecodeError and binascii.Error, which are ones)."""
    at, _, request_id = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition("|")
    moment = datetime.fromisoformat(at)
    if moment.utcoffset() != timedelta(0):  # another one can lie outside of what UTC has dates for
        raise ValueError("not a cursor")
    return moment, UUID(request_id)

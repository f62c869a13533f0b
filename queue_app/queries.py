"""Reads single requests with their attempts. `request_lists` has pages of requests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from redis.exceptions import RedisError

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.scope import system_scope
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt, AttemptState
from queue_app.models import ENDED, AIRequest, RequestContent, Status
from queue_app.ordering import index
from queue_app.packing import unpack

cost = create_cost_optimizer()

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
    def answered_by(self) -> Attempt | None:
        """The attempt that answered. None for an answer from the cache, and unless the request completed."""
        if self.request.status != Status.COMPLETED:
            return None
        return next((a for a in reversed(self.attempts) if a.state in CHARGED and not a.error_code), None)

    @property
    def usage(self) -> TokenUsage | None:
        """Tokens of the attempt that answered, counted here if the provider did not report them. None if unknown."""
        answered = self.answered_by
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

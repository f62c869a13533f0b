"""Live events that notify an organization's clients when a request's status changes."""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from aiinfra.api import ApiModel
from aiinfra.live_events import Draft, EventType, publication, publish
from aiinfra.money import Dollars, dollars
from aiinfra.redis import ScriptCall
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt
from queue_app.models import ENDED, AIRequest, Priority, Status

cost = create_cost_optimizer()


class RequestEvent(ApiModel):
    """A request's new status, never its prompt or answer. `cost` is set once it has ended."""

    request_id: str
    status: Status
    provider: str
    model: str
    priority: str
    attempt: int
    cached: bool
    cost: Dollars | None
    error_code: str | None
    at: datetime


def publish_changes(*requests: AIRequest, also: Sequence[ScriptCall] = ()) -> None:
    """Announce status changes of requests of one organization, once they are committed, and run further scripts.

    One round trip, plus one cost query for each request that a provider call ended. Never raises for Redis.
    """
    if requests:
        publish(requests[0].organization_id, _drafts(requests), also=also)


def publication_of(request: AIRequest, attempt: Attempt | None = None) -> ScriptCall:
    """What `publish_changes` runs for one request, for a round trip with other scripts.

    With the attempt that has just ended, the cost of a request without an earlier one is not queried.
    """
    draft = Draft(EventType.REQUEST, str(request.id), event_of(request, attempt))
    return publication(request.organization_id, [draft])


def event_of(request: AIRequest, attempt: Attempt | None = None) -> RequestEvent:
    """The event for the request's current state; `attempt` as in `publication_of`."""
    return RequestEvent(
        request_id=str(request.id),
        status=Status(request.status),
        provider=request.provider,
        model=request.model,
        priority=Priority(request.priority).name.lower(),
        attempt=request.attempt_number,
        cached=request.cached,
        cost=dollars(_cost_of(request, attempt)) if request.status in ENDED else None,
        error_code=request.error_code or None,
        at=timezone.now(),
    )


def _drafts(requests: Sequence[AIRequest]) -> list[Draft]:
    return [Draft(EventType.REQUEST, str(request.id), event_of(request)) for request in requests]


def _cost_of(request: AIRequest, attempt: Attempt | None) -> int:
    if request.cached:
        return 0
    attempts = [attempt] if attempt and attempt.number == 1 else cost.attempts_of([request.id])
    return sum(each.cost_nano for each in attempts)

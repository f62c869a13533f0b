"""Equal requests at once: one calls the provider, the others wait for its answer and are booked as cache hits.

Who leads is a matter of the database: at most one request has the `flight` of a question, and those that follow it
name it in `leader_id`. A follower is a pending request without an attempt, which no worker sees; it ends with its
leader's answer, or, where the leader ends without one, the oldest follower calls the provider in its place.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app import create_semantic_cache
from cache_app.facade import Served, Ticket
from cost_app import create_cost_optimizer
from cost_app.optimizer import BudgetExceededError, BudgetRefusedError, ModelNotPricedError
from queue_app import events
from queue_app.intake import attempt_order, enter, note_model
from queue_app.models import ENDED, LIVE, AIRequest, RequestContent, Status
from queue_app.packing import pack, unpack
from queue_app.requests import status_of

logger = logging.getLogger(__name__)
cache = create_semantic_cache()
cost = create_cost_optimizer()

BATCH = 100
MS = timedelta(milliseconds=1)
LEFT_BEHIND = timedelta(seconds=5)
"""A leader that has been over for so long has lost its worker before it could leave."""


def leader_of(organization_id: int, flight: str) -> AIRequest | None:
    """The request that asks this now, or whose answer is on its way into the cache."""
    return AIRequest.objects.filter(organization_id=organization_id, flight=flight).first()


def may_follow(leader: AIRequest, priority: int) -> bool:
    """Nobody waits behind a less urgent request, or one that has been put off."""
    return leader.priority >= priority and leader.not_before <= timezone.now() + LEFT_BEHIND


def join(leader: AIRequest, make: Callable[[UUID], AIRequest]) -> AIRequest | None:
    """The new request that `make` makes of the leader's id; None if the leader has ended meanwhile."""
    with transaction.atomic():
        # Locked, so that the leader cannot end between this look and the row that would then wait for nobody.
        live = AIRequest.objects.select_for_update().filter(id=leader.id, status__in=LIVE)
        return make(leader.id) if live.exists() else None


def answer_of(leader: AIRequest, ticket: Ticket) -> Served | None:
    """What a leader has been answered, from the moment of its end on: the cache gets it a little later."""
    if leader.status != Status.COMPLETED:
        return None
    status = status_of(leader, with_content=True)
    if status.response is None:
        return None
    return Served.in_flight(ticket, status.response, status.usage or TokenUsage(), waited_ms=0)


def ended(leader: AIRequest) -> None:
    """Do what is left to do when a request has ended and its answer is in the cache: it leads no longer."""
    if leader.flight is not None:
        AIRequest.objects.filter(id=leader.id, status__in=ENDED).update(flight=None)
    if _followers(leader.id).exists():
        land(leader.id)


def land(leader_id: UUID) -> None:
    """Answer the followers of a request that has ended, or let one of them call the provider; safe to do twice."""
    leader = AIRequest.objects.get(id=leader_id)
    if leader.status in LIVE:
        return
    status = status_of(leader, with_content=True)
    if leader.status == Status.COMPLETED and status.response is not None:
        usage = status.usage or TokenUsage()
        while _answer_some(leader, status.response, usage):
            pass
    else:
        _hand_over(leader)


def _answer_some(leader: AIRequest, response: dict[str, Any], usage: TokenUsage) -> int:
    with transaction.atomic():
        waiting = list(_followers(leader.id).select_for_update(skip_locked=True)[:BATCH])
        for follower in waiting:
            _answer(follower, response, usage)
    events.changed(*waiting)
    return len(waiting)


def _followers(leader_id: UUID) -> Any:
    return AIRequest.objects.filter(leader_id=leader_id, status=Status.PENDING).order_by("created_at", "id")


def _answer(follower: AIRequest, response: dict[str, Any], usage: TokenUsage) -> None:
    now = timezone.now()
    AIRequest.objects.filter(id=follower.id).update(status=Status.COMPLETED, completed_at=now, cached=True)
    follower.status, follower.cached = Status.COMPLETED, True
    content = RequestContent.objects.get(request_id=follower.id)
    content.response = pack(response)
    content.save(update_fields=["response"])
    waited_ms = max(0, (now - follower.created_at) // MS)  # the clock of the host that took it may be ahead
    ticket = Ticket.unpacked(unpack(content.call)["cache"])
    book_hit(follower, ticket, Served.in_flight(ticket, response, usage, waited_ms), waited_ms)


def book_hit(request: AIRequest, ticket: Ticket, served: Served, latency_ms: int) -> None:
    """Write the hit that answered a request to the ledger and to the cache's books; in the caller's transaction."""
    saved_nano = cost.book_cache_hit(
        organization_id=request.organization_id,
        request_id=request.id,
        provider=request.provider,
        model=request.model,
        usage=served.usage,
        api_key_id=request.api_key_id,
        user_ref=request.user_ref,
        tags=request.tags,
        priority=request.priority,
        latency_ms=latency_ms,
    )
    cache.record_hit(
        request_id=request.id,
        ticket=ticket,
        served=served,
        provider=request.provider,
        model=request.model,
        saved_nano=saved_nano,
        api_key_id=request.api_key_id,
        user_ref=request.user_ref,
    )


def _hand_over(leader: AIRequest) -> None:
    """The oldest follower calls the provider, and the others follow it; one that no budget admits fails."""
    while (follower := _followers(leader.id).first()) is not None:
        if _take_over(leader, follower):
            enter(follower)
            return
        if follower.status in ENDED:
            events.changed(follower)


def _take_over(leader: AIRequest, follower: AIRequest) -> bool:
    """False where the follower has ended instead, or somebody else moved it."""
    try:
        with transaction.atomic():
            if not _followers(leader.id).filter(id=follower.id).update(leader_id=None):
                return False
            follower.leader_id = None
            call = unpack(RequestContent.objects.get(request_id=follower.id).call)
            _followers(leader.id).update(leader_id=follower.id)
            note_model(follower, cost.open_attempt(attempt_order(follower, call)))
    except (BudgetRefusedError, ModelNotPricedError) as refusal:
        code = "BUDGET_EXCEEDED" if isinstance(refusal, BudgetExceededError) else "NOT_ADMITTED"
        failed = (
            _followers(leader.id)
            .filter(id=follower.id)
            .update(status=Status.FAILED, completed_at=timezone.now(), error_code=code, error_message=str(refusal))
        )
        if failed:
            follower.status, follower.error_code = Status.FAILED, code
        return False
    return True


def land_forgotten() -> None:
    """Followers whose leader has ended, and leaders that were never told to leave: a worker died in between."""
    with system_scope():
        over = AIRequest.objects.filter(status__in=ENDED, id=OuterRef("leader_id"))
        waiting = AIRequest.objects.filter(Exists(over), status=Status.PENDING, leader_id__isnull=False)
        leaders = set(waiting.values_list("organization_id", "leader_id")[:BATCH])
        before = timezone.now() - LEFT_BEHIND
        AIRequest.objects.filter(flight__isnull=False, completed_at__lt=before).update(flight=None)
    for organization_id, leader_id in leaders:
        if leader_id is not None:
            with organization_scope(organization_id):
                land(leader_id)

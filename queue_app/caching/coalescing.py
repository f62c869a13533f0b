"""Request coalescing: of identical concurrent requests, one calls the provider; the others wait for its answer and are
booked as cache hits.

The database decides who leads: at most one request has the `flight` of a question, and its followers name it in
`leader_id`. A follower is a pending request without an attempt, which no worker sees. It ends with its leader's answer
if `cache_answer.may_share` allows it. If the leader fails or is cancelled, the oldest follower calls the provider
instead. If the answer cannot be shared, each follower makes its own call.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from aiinfra import database_time
from aiinfra.one_by_one import one_by_one
from aiinfra.providers.base import ErrorCode, TokenUsage
from aiinfra.tenants.scope import organization_scope, system_scope
from aiinfra.tenants.statements import Parameter
from cache_app import create_semantic_cache
from cache_app.facade import CacheKey, Hit
from cost_app import create_cost_optimizer
from cost_app.facade import BudgetExceededError, BudgetRefusedError, ModelNotPricedError
from queue_app import events
from queue_app.caching.cache_answer import may_share
from queue_app.models import ENDED, LIVE, AIRequest, RequestContent, Status
from queue_app.packing import pack, unpack
from queue_app.queries import RequestStatus, status_of
from queue_app.submission.intake import attempt_order, enter, record_model
from queue_app.webhooks import notify_end

logger = logging.getLogger(__name__)
cache = create_semantic_cache()
cost = create_cost_optimizer()

BATCH = 100
MS = timedelta(milliseconds=1)
SPREAD = timedelta(milliseconds=200)
SPREAD_MAX = timedelta(seconds=30)
"""Released followers start one after another: the delay between two of them, and the longest delay of any."""
ORPHANED_AFTER = timedelta(seconds=5)
"""A leader that ended this long ago has lost its worker before it could release its flight."""


def leader_of(organization_id: int, flight: str) -> AIRequest | None:
    """The request that is asking this question now, or whose answer is being written to the cache."""
    return AIRequest.objects.fetch(organization_id=organization_id, flight=flight)


def may_follow(leader: AIRequest, priority: int) -> bool:
    """A request never waits behind a less urgent one, or behind one that is held for a retry."""
    return leader.priority >= priority and leader.not_before <= database_time.now() + ORPHANED_AFTER


def join(leader: AIRequest, make: Callable[[UUID], AIRequest]) -> AIRequest | None:
    """The new request that `make` creates for the leader's ID. None if the leader has ended in the meantime."""
    with transaction.atomic():
        # Locked, so that the leader cannot end between this read and the insert: the row would then wait forever.
        live = AIRequest.objects.select_for_update().filter(id=leader.id, status__in=LIVE)
        return make(leader.id) if live.exists() else None


def shareable_hit(leader: AIRequest, cache_key: CacheKey) -> Hit | None:
    """A leader's answer, available as soon as the leader ends; the cache gets it slightly later.

    None if it has no answer that others may have.
    """
    if leader.status != Status.COMPLETED:
        return None
    status = status_of(leader, with_content=True)
    response = _shareable_response(status)
    if response is None:
        return None
    return Hit.in_flight(cache_key, response, status.usage or TokenUsage(), waited_ms=0)


def _shareable_response(status: RequestStatus) -> dict[str, Any] | None:
    """The answer of an ended request, if others may have it."""
    request, response = status.request, status.response
    answering = next((each for each in status.attempts if each.number == request.attempt_number), None)
    if request.status != Status.COMPLETED or response is None or answering is None:
        return None
    return response if may_share(request, answering, response) else None


def finish_leader(leader: AIRequest) -> None:
    """Finish up after a request has ended and its answer is in the cache: release its flight, and its followers."""
    if leader.cache_mode != "use":  # `submit` lets no other request follow it
        return
    if leader.flight is not None:
        AIRequest.objects.change({"flight": None}, id=leader.id, status__in=ENDED)
    if _oldest_follower.run(leader_id=leader.id):
        settle_followers(leader.id)


def settle_followers(leader_id: UUID) -> None:
    """Answer the followers of an ended request, or let them call the provider. Safe to run twice."""
    leader = AIRequest.objects.get(id=leader_id)
    if leader.status in LIVE:
        return
    status = status_of(leader, with_content=True)
    if (response := _shareable_response(status)) is not None:
        _answer_all(leader, response, status.usage or TokenUsage())
    elif leader.status == Status.COMPLETED:
        _release_followers(leader)
    else:
        _promote_follower(leader)


def _answer_all(leader: AIRequest, response: dict[str, Any], usage: TokenUsage) -> None:
    broken: list[AIRequest] = []
    waiting = [leader]
    while waiting:
        with transaction.atomic():
            left = _followers(leader.id).exclude(id__in=[each.id for each in broken])
            waiting = list(left.select_for_update(skip_locked=True)[:BATCH])
            found, used = _answer_batch(waiting, response, usage)
        one_by_one(found, _end_broken)
        broken += found
        announce_hits(waiting, used)


def _answer_batch(
    waiting: Sequence[AIRequest], response: dict[str, Any], usage: TokenUsage
) -> tuple[list[AIRequest], list[str]]:
    """The followers that could not be answered, and the cache entries of the others."""
    used: list[str] = []
    broken = one_by_one(waiting, lambda each: used.append(_answer(each, response, usage)), in_transaction=True)
    return broken, used


def _followers(leader_id: UUID) -> Any:
    return AIRequest.objects.filter(leader_id=leader_id, status=Status.PENDING).order_by("created_at", "id")


_oldest_follower = AIRequest.objects.prepare_select(
    lambda rows: rows.filter(leader_id=Parameter("leader_id"), status=Status.PENDING).order_by("created_at", "id")[:1]
)


def _answer(follower: AIRequest, response: dict[str, Any], usage: TokenUsage) -> str:
    """End a follower with its leader's answer; returns the ID of the cache entry that counts it."""
    now = database_time.now()
    AIRequest.objects.filter(id=follower.id).update(status=Status.COMPLETED, completed_at=now, cached=True)
    follower.status, follower.cached, follower.completed_at = Status.COMPLETED, True, now
    content = RequestContent.objects.get(request_id=follower.id)
    content.response = pack(response)
    content.save(update_fields=["response"])
    waited_ms = max(0, (now - follower.created_at) // MS)  # the clock of the host that claimed it may be ahead
    cache_key = CacheKey.unpacked(unpack(content.call)["cache"])
    book_hit(follower, cache_key, Hit.in_flight(cache_key, response, usage, waited_ms), waited_ms)
    notify_end(follower)
    return cache_key.entry_id


def book_hit(request: AIRequest, cache_key: CacheKey, hit: Hit, latency_ms: int) -> None:
    """Record the hit that answered a request in the ledger and in the cache's counts, in the caller's transaction."""
    saved_nano = cost.book_cache_hit(
        organization_id=request.organization_id,
        request_id=request.id,
        provider=request.provider,
        model=request.model,
        usage=hit.usage,
        api_key_id=request.api_key_id,
        user_ref=request.user_ref,
        tags=request.tags,
        priority=request.priority,
        latency_ms=latency_ms,
    )
    cache.record_hit(
        request_id=request.id,
        cache_key=cache_key,
        hit=hit,
        provider=request.provider,
        model=request.model,
        saved_nano=saved_nano,
        api_key_id=request.api_key_id,
        user_ref=request.user_ref,
    )


def announce_hits(requests: Sequence[AIRequest], entry_ids: Iterable[str]) -> None:
    """Publish requests of one organization that the cache answered, and record the use of its entries.

    Call it after the commit; one round trip. If Redis is down, neither is retried.
    """
    if requests:
        organization_id = requests[0].organization_id
        events.publish_changes(*requests, also=[cache.touching(organization_id, each) for each in entry_ids])


def _promote_follower(leader: AIRequest) -> None:
    """The oldest follower calls the provider and the others follow it. A follower that no budget admits fails."""
    tried: list[UUID] = []
    while (follower := _followers(leader.id).exclude(id__in=tried).first()) is not None:
        tried.append(follower.id)
        if _starts_own_call(leader, follower, leads=True):
            return


def _release_followers(leader: AIRequest) -> None:
    """Each follower makes its own call, one after another, because the next answer may not be shareable either.

    None of them follows another, so no one waits for a chain of unshareable answers.
    """
    for number, follower in enumerate(_followers(leader.id)):
        delay = min(number * SPREAD, SPREAD_MAX)
        _starts_own_call(leader, follower, leads=False, not_before=database_time.now() + delay)


def _starts_own_call(leader: AIRequest, follower: AIRequest, **how: Any) -> bool:
    """Whether a follower is about to call the provider. If not, it has ended or was moved elsewhere."""
    one_by_one([follower], lambda each: _take_over(leader, each, **how), _end_broken)
    if follower.status in ENDED:
        events.publish_changes(follower)
    elif follower.leader_id is None:
        enter(follower)
        return True
    return False


def _take_over(leader: AIRequest, follower: AIRequest, *, leads: bool, not_before: datetime | None = None) -> None:
    """Give a follower its own attempt. With `leads` the other followers follow it. It fails if no budget has room."""
    columns: dict[str, Any] = {"leader_id": None, "not_before": not_before or follower.not_before}
    try:
        with transaction.atomic():
            if not _followers(leader.id).filter(id=follower.id).update(**columns):
                return
            call = unpack(RequestContent.objects.get(request_id=follower.id).call)
            if leads:
                _followers(leader.id).update(leader_id=follower.id)
            record_model(follower, cost.open_attempt(attempt_order(follower, call)))
    except (BudgetRefusedError, ModelNotPricedError) as refusal:
        code = "BUDGET_EXCEEDED" if isinstance(refusal, BudgetExceededError) else "NOT_ADMITTED"
        _end(follower, code, str(refusal))
        return
    follower.leader_id, follower.not_before = None, columns["not_before"]


def _end_broken(follower: AIRequest) -> None:
    """End a follower that can neither be answered nor started because of an internal error."""
    _end(follower, ErrorCode.INTERNAL_ERROR, "the answer could not be booked for this request")


def _end(follower: AIRequest, code: str, message: str) -> None:
    rows = AIRequest.objects.filter(id=follower.id, status=Status.PENDING, leader_id__isnull=False)
    now = database_time.now()
    with transaction.atomic():
        if rows.update(status=Status.FAILED, completed_at=now, error_code=code, error_message=message):
            follower.status, follower.error_code, follower.completed_at = Status.FAILED, code, now
            notify_end(follower)


def settle_orphaned_followers() -> None:
    """Settle followers whose leader has ended, and leaders that still have their flight: a worker died in between."""
    with system_scope():
        over = AIRequest.objects.filter(status__in=ENDED, id=OuterRef("leader_id"))
        waiting = AIRequest.objects.filter(Exists(over), status=Status.PENDING, leader_id__isnull=False)
        leaders = set(waiting.values_list("organization_id", "leader_id")[:BATCH])
        before = database_time.now() - ORPHANED_AFTER
        AIRequest.objects.filter(flight__isnull=False, completed_at__lt=before).update(flight=None)
    one_by_one(leaders, _settle_orphaned)


def _settle_orphaned(found: tuple[int, UUID | None]) -> None:
    organization_id, leader_id = found
    if leader_id is not None:
        with organization_scope(organization_id):
            settle_followers(leader_id)

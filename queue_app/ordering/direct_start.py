"""Whether a request may start in the process that accepts it, without entering the index."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from redis.exceptions import RedisError

from aiinfra import database_time
from aiinfra.providers import breaker
from aiinfra.redis import run_together
from aiinfra.tenants.scope import system_scope
from cost_app import create_cost_optimizer
from queue_app.models import AIRequest, QueuePolicy, Status
from queue_app.ordering import index
from queue_app.ordering.index import IndexEntry
from queue_app.ordering.provider_limits import WINDOW_S, limit_of

logger = logging.getLogger(__name__)
cost = create_cost_optimizer()

HAS_TO_WAIT = "-"
"""As in `lua/try_start.lua`."""


def try_start(request: AIRequest) -> tuple[IndexEntry | None, bool]:
    """Count an unsaved request as in flight, if a claim would take it now; `release` ends that. None if it has to wait.
    And whether every circuit is closed. One round trip.

    It has to wait where its priority is paused, its organization or its provider limit is full, or ready work of its
    organization comes first. While Redis is down, the rows decide.
    """
    entry = IndexEntry.of(request)
    start = index.script("try_start", [str(entry), entry.model, f"{index.score_of(request):.6f}"])
    try:
        limit, all_closed = run_together([start, breaker.all_closed()])
    except RedisError:
        logger.warning("Redis is down; deciding from the database whether a request may start")
        limit, all_closed = None, False
    if limit is None:
        return entry if _may_start_by_rows(request) else None, bool(all_closed)
    return None if limit == HAS_TO_WAIT else replace(entry, limit=limit), bool(all_closed)


def _may_start_by_rows(request: AIRequest) -> bool:
    """The same rules, without the time that lower priorities have waited."""
    mine = AIRequest.objects.filter(organization_id=request.organization_id, leader_id=None)
    policy = QueuePolicy.objects.filter(organization_id=request.organization_id).first() or QueuePolicy()
    if request.priority in policy.paused_priorities:
        return False
    if policy.max_in_flight and mine.filter(status=Status.PROCESSING).count() >= policy.max_in_flight:
        return False
    ready = mine.filter(status=Status.PENDING, not_before__lte=database_time.now(), priority__gte=request.priority)
    ahead = ready.exclude(priority__in=policy.paused_priorities).order_by().distinct()
    has_room = _rooms()
    return has_room(request) and not any(
        has_room(AIRequest(**columns)) for columns in ahead.values("provider", "model", "next_model")
    )


def _rooms() -> Callable[[AIRequest], bool]:
    """Whether the provider limit of a request's call has room."""
    limits = cost.rate_limits()
    with system_scope():
        sent = Counter(limit_of(name, limits) for name, _, _ in cost.sent_within(WINDOW_S))

    def has_room(request: AIRequest) -> bool:
        limit = limit_of(request.next_call, limits)
        return limit is None or sent[limit] < int(limits[limit])

    return has_room

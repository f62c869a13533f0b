"""Claim the best request and keep it.

A claim is valid once it is in the row: `status` changes from pending to processing in one UPDATE, which only one worker
can win. It lasts as long as the lease; a worker that does not renew it loses the request to index repair.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from redis.exceptions import RedisError

from aiinfra import database_time
from aiinfra.metrics import recorded
from aiinfra.redis import ScriptCall, run_together
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.facade import Attempt
from queue_app import events
from queue_app.models import AIRequest, Status
from queue_app.ordering import index
from queue_app.ordering.index import IndexEntry
from queue_app.packing import unpack

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claim:
    """A request that this process may work on while it renews the lease. `attempt_number` is the fence.

    `reserved` is the entry that the index returned; its model is the one whose provider limit was checked.
    """

    request: AIRequest
    call: dict[str, Any]
    attempt_number: int
    reserved: IndexEntry | None = None

    @property
    def entry(self) -> IndexEntry:
        """The request's name in the index."""
        return IndexEntry.of(self.request)

    @property
    def timeout(self) -> timedelta:
        """Timeout of one provider call."""
        return timedelta(milliseconds=self.request.timeout_ms)


def lease_end(extra: timedelta = timedelta()) -> datetime:
    """When a lease that is taken or renewed now expires, by the database's clock."""
    return database_time.now() + timedelta(seconds=settings.QUEUE_LEASE_S) + extra


def claim_next(worker: str) -> Claim | None:
    """Claim the best request of all organizations for a worker. None if nothing may start. Raises RedisError."""
    while entry := index.claim():
        with organization_scope(entry.organization_id):
            request = pending(entry)
            if request and take(request, worker):
                events.publish_changes(request)
                return claim_of(request, entry)
        release(entry)
    return None


def pending(entry: IndexEntry) -> AIRequest | None:
    """The entry's request with its content, not yet claimed. None if it was cancelled, claimed or ended by now, or
    follows another one.
    """
    return AIRequest.objects.fetch("content", id=entry.request_id, status=Status.PENDING, leader_id=None)


def take(request: AIRequest, worker: str) -> bool:
    """Claim a pending request for a worker, or a web process. False if it has changed since it was read."""
    columns = {
        "status": Status.PROCESSING,
        "lease_until": lease_end(),
        "worker": worker,
        "started_at": request.started_at or database_time.now(),
    }
    unchanged = {"status": Status.PENDING, "leader_id": None, "attempt_number": request.attempt_number}
    if not AIRequest.objects.change(columns, id=request.id, **unchanged):
        return False
    for name, value in columns.items():
        setattr(request, name, value)
    lane = "direct" if request.is_direct else "worker"
    transaction.on_commit(lambda: recorded.claimed(request.organization_id, lane), robust=True)
    return True


def claim_of(request: AIRequest, entry: IndexEntry) -> Claim:
    """A claim of a request that `pending` returned. Raises if its content is missing or cannot be read."""
    return Claim(request, unpack(request.content.call), request.attempt_number, entry)


def hold_for_caller(claim: Claim) -> None:
    """Extend a claim for a caller without a heartbeat, by the timeout of its call. A lost claim stays lost."""
    AIRequest.objects.filter(id=claim.request.id, status=Status.PROCESSING, attempt_number=claim.attempt_number).update(
        lease_until=lease_end(claim.timeout)
    )


def mark_sent(claim: Claim, attempt: Attempt) -> None:
    """Start counting the call against its provider limit, if it has one."""
    try:
        run_together(sending(claim, attempt))
    except RedisError:
        logger.warning("call not counted against its limit", extra={"fields": {"request": claim.request.id}})


def sending(claim: Claim, attempt: Attempt) -> list[ScriptCall]:
    """What `mark_sent` runs, for a round trip with other scripts."""
    if claim.reserved is None or not claim.reserved.limit:
        return []
    return [index.script("sent", [str(claim.entry), claim.reserved.model, str(attempt.id)])]


def release(entry: IndexEntry) -> None:
    """Let the organization start another request. If Redis is down, index repair does it later."""
    try:
        index.release([entry])
    except RedisError:
        logger.warning("claim not released yet", extra={"fields": {"request": entry.request_id}})


def renew(held: Iterable[tuple[UUID, int]]) -> None:
    """Extend the leases of (request ID, attempt number) pairs. Leases that were lost stay lost."""
    still_ours = Q()
    for request_id, number in held:
        still_ours |= Q(id=request_id, attempt_number=number)
    if still_ours:
        with system_scope():
            AIRequest.objects.filter(still_ours, status=Status.PROCESSING).update(lease_until=lease_end())

"""Taking the best request, and holding it.

A claim is true once the row says so: `status` turns from pending to processing in one UPDATE, which only one worker can
win. It holds for the lease; a worker that does not renew it loses the request to the reconciler.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from redis.exceptions import RedisError

from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.facade import Attempt
from queue_app import events
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.ordering import index
from queue_app.ordering.index import Entry
from queue_app.packing import unpack

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claim:
    """A request that this process may work on while it renews the lease. `attempt_number` is the fence.

    `reserved` is the entry that the index gave out; its model is the one that the provider limit was asked for.
    """

    request: AIRequest
    call: dict[str, Any]
    attempt_number: int
    reserved: Entry | None = None

    @property
    def entry(self) -> Entry:
        """How the index names it."""
        return Entry.of(self.request)

    @property
    def timeout(self) -> timedelta:
        """The deadline of one provider call."""
        return timedelta(milliseconds=self.request.timeout_ms)


def lease_end(extra: timedelta = timedelta()) -> datetime:
    """When a lease that is taken or renewed now runs out."""
    return timezone.now() + timedelta(seconds=settings.QUEUE_LEASE_S) + extra


def claim_next(worker: str) -> Claim | None:
    """The best request of all organizations, claimed for a worker; None when nothing may start. Raises RedisError."""
    while entry := index.claim():
        with organization_scope(entry.organization_id):
            if claim := _make_true(entry, worker):
                return claim
        release(entry)
    return None


def _make_true(entry: Entry, worker: str) -> Claim | None:
    """None for an entry whose request was cancelled, claimed or ended meanwhile, or follows another one."""
    now = timezone.now()
    claimed = AIRequest.objects.filter(id=entry.request_id, status=Status.PENDING, leader_id=None).update(
        status=Status.PROCESSING, lease_until=lease_end(), worker=worker, started_at=Coalesce("started_at", now)
    )
    if not claimed:
        return None
    content = RequestContent.objects.select_related("request").defer("response").get(request_id=entry.request_id)
    events.changed(content.request)
    return Claim(content.request, unpack(content.call), content.request.attempt_number, entry)


def hold_for_caller(claim: Claim) -> None:
    """Prolong a claim for someone without a heartbeat: by the deadline of its call. One that was lost stays lost."""
    AIRequest.objects.filter(id=claim.request.id, status=Status.PROCESSING, attempt_number=claim.attempt_number).update(
        lease_until=lease_end(claim.timeout)
    )


def note_sent(claim: Claim, attempt: Attempt) -> None:
    """Count the call against its provider's limit from now on, where it has one."""
    if claim.reserved is None or not claim.reserved.limit:
        return
    try:
        index.run("sent", [str(claim.entry), claim.reserved.model, str(attempt.id)])
    except RedisError:
        logger.warning("call not counted against its limit", extra={"fields": {"request": claim.request.id}})


def release(entry: Entry) -> None:
    """Let the organization have another request started; where Redis is away, the reconciler does it later."""
    try:
        index.release([entry])
    except RedisError:
        logger.warning("claim not released yet", extra={"fields": {"request": entry.request_id}})


def renew(held: Iterable[tuple[UUID, int]]) -> None:
    """Prolong the leases of (request id, attempt number) pairs; those that were lost meanwhile stay lost."""
    still_ours = Q()
    for request_id, number in held:
        still_ours |= Q(id=request_id, attempt_number=number)
    if still_ours:
        with system_scope():
            AIRequest.objects.filter(still_ours, status=Status.PROCESSING).update(lease_until=lease_end())

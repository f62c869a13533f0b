"""Actions on the queue: cancel, retry, pause, resume, clean up. Each writes an audit row."""

import logging
from collections.abc import Callable

from django.db import transaction
from django.db.models import F
from redis.exceptions import RedisError

from aiinfra import database_time
from aiinfra.tenants import audit
from cost_app import create_cost_optimizer
from queue_app import events
from queue_app.caching import coalescing
from queue_app.models import LIVE, AIRequest, Priority, QueuePolicy, RequestContent, Status
from queue_app.ordering import index, tickets
from queue_app.ordering.claims import release
from queue_app.ordering.index import IndexEntry
from queue_app.packing import unpack
from queue_app.repair.retention import cleanup
from queue_app.submission.intake import attempt_order, enter, record_model
from queue_app.webhooks import notify_end

logger = logging.getLogger(__name__)
cost = create_cost_optimizer()

CANCELLED = "CANCELLED"


class WrongStatusError(Exception):
    """The request's status does not allow this action."""


class ContentGoneError(Exception):
    """The prompt has been deleted by retention, so the request cannot run again."""


def cancel(request: AIRequest, *, actor: str) -> None:
    """End a request without an answer.

    A request in progress ends at once for its client. Its worker stops if the call has not been sent; otherwise it
    waits for the bill and drops the answer. Raises WrongStatusError if the request has already ended.
    """
    with transaction.atomic():
        ended = AIRequest.objects.filter(id=request.id, status__in=LIVE).update(
            status=Status.CANCELLED, completed_at=database_time.now(), lease_until=None
        )
        if not ended:
            raise WrongStatusError("The request has already ended.")
        request.refresh_from_db()
        if request.leader_id is None:
            cost.withdraw(request.id, request.attempt_number, CANCELLED)
        audit.record(
            organization_id=request.organization_id, actor=actor, verb="request.cancelled", target=str(request.id)
        )
        notify_end(request)
    _remove_from_index(request)
    coalescing.finish_leader(request)
    events.publish_changes(request)


def _remove_from_index(request: AIRequest) -> None:
    try:
        index.remove(request)
    except RedisError:
        logger.info("cancelled request not removed from the index; a claim will skip it")


def retry(request: AIRequest, *, actor: str) -> None:
    """Run a failed or cancelled request again, with a full set of retries.

    Raises WrongStatusError for any other status, ContentGoneError, ModelNotPricedError and BudgetRefusedError.
    """
    with transaction.atomic():
        content = RequestContent.objects.filter(request=request).first()
        if content is None:
            raise ContentGoneError("The prompt of this request has been deleted by retention.")
        restarted = AIRequest.objects.filter(id=request.id, status__in=[Status.FAILED, Status.CANCELLED]).update(
            status=Status.PENDING,
            attempt_number=F("attempt_number") + 1,
            first_attempt_number=F("attempt_number") + 1,
            crashes=0,
            counted=False,
            completed_at=None,
            started_at=None,
            not_before=database_time.now(),
            error_code="",
            error_message="",
            leader_id=None,
        )
        if not restarted:
            raise WrongStatusError("Only a failed or cancelled request can be retried.")
        request.refresh_from_db()
        record_model(request, cost.open_attempt(attempt_order(request, unpack(content.call))))
        audit.record(
            organization_id=request.organization_id, actor=actor, verb="request.retried", target=str(request.id)
        )
    events.publish_changes(request)
    # The cancelled call may still be in flight, and the index does not admit what it counts as claimed.
    release(IndexEntry.of(request))
    enter(request)


def clean_up(organization_id: int, *, actor: str) -> int:
    """Apply the retention policy to the organization in scope now. Returns the number of requests deleted."""
    removed = cleanup()
    audit.record(
        organization_id=organization_id,
        actor=actor,
        verb="queue.cleaned",
        target="requests past their retention",
        changes={"removed": [0, removed]},
    )
    return removed


def pause(organization_id: int, priority: Priority | None, *, actor: str) -> list[int]:
    """Stop starting requests of one priority, or of all; running requests continue. Returns the priorities that are now
    paused.
    """
    return _set_paused(organization_id, set.union, priority, actor, "queue.paused")


def resume(organization_id: int, priority: Priority | None, *, actor: str) -> list[int]:
    """Resume a paused priority, or all of them. Returns the priorities that are still paused."""
    still_paused = _set_paused(organization_id, set.difference, priority, actor, "queue.resumed")
    _wake_workers()
    return still_paused


def _set_paused(
    organization_id: int,
    combine: Callable[[set[int], set[int]], set[int]],
    priority: Priority | None,
    actor: str,
    verb: str,
) -> list[int]:
    wanted = {int(priority)} if priority else set(Priority.values)
    with transaction.atomic():
        QueuePolicy.objects.get_or_create(organization_id=organization_id)
        policy = QueuePolicy.objects.select_for_update().get(organization_id=organization_id)
        before = policy.paused_priorities
        policy.paused_priorities = sorted(combine(set(before), wanted))
        policy.save(update_fields=["paused_priorities"])
        audit.record(
            organization_id=organization_id,
            actor=actor,
            verb=verb,
            target=priority.label if priority else "all priorities",
            changes={"paused": [before, policy.paused_priorities]},
        )
    announce_policy(policy)
    return list(policy.paused_priorities)


def announce_policy(policy: QueuePolicy) -> None:
    """Apply a saved policy. If Redis is down, index repair applies it later."""
    try:
        index.set_policy(policy)
    except RedisError:
        logger.warning("policy not loaded into Redis; index repair loads it later", exc_info=True)


def _wake_workers() -> None:
    try:
        tickets.wake_for_ready()
    except RedisError:
        logger.info("workers not woken; the scheduler wakes them when Redis is back")

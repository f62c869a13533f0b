"""Queue figures as live events, for organizations with a connected client."""

from collections import defaultdict
from collections.abc import Callable

from django.db.models import Count

from aiinfra.api import ApiModel
from aiinfra.live_events import Draft, EventType, listening, publish
from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.scope import system_scope
from queue_app.models import AIRequest, Priority, QueuePolicy, Status
from queue_app.payloads import ByPriority, PriorityName, priority_name

SUBJECT = "queue"


class QueueEvent(ApiModel):
    """Waiting and running requests, named like the JSON API's figures, and the paused priorities."""

    queue_size: int
    processing: int
    by_priority: ByPriority
    paused: list[PriorityName]


def publish_queue_figures() -> None:
    """Publish the figures that have changed: three queries, whatever the number of organizations. Raises RedisError.

    Runs once a second. Counts the rows, as the JSON API does: requests held for a retry are included.
    """
    if organization_ids := listening():
        with system_scope():
            event_of = _figures(organization_ids)
        one_by_one(
            organization_ids,
            lambda owner: publish(owner, [Draft(EventType.QUEUE, SUBJECT, event_of(owner))], if_changed=True),
        )


def _figures(organization_ids: list[int]) -> Callable[[int], QueueEvent]:
    """Read the figures of all organizations. Returns a function that builds one organization's event."""
    pending: dict[int, dict[int, int]] = defaultdict(dict)
    # Two queries, for the partial index of each status.
    rows = AIRequest.objects.filter(organization_id__in=organization_ids).order_by()
    for owner, priority, count in (
        rows.filter(status=Status.PENDING).values_list("organization_id", "priority").annotate(Count("id"))
    ):
        pending[owner][priority] = count
    processing = rows.filter(status=Status.PROCESSING).values_list("organization_id").annotate(Count("id"))
    running: dict[int, int] = dict(processing)
    policies = QueuePolicy.objects.filter(organization_id__in=organization_ids)
    paused = dict(policies.values_list("organization_id", "paused_priorities"))
    return lambda owner: _event(pending[owner], running.get(owner, 0), paused.get(owner, []))


def _event(pending: dict[int, int], processing: int, paused: list[int]) -> QueueEvent:
    return QueueEvent(
        queue_size=sum(pending.values()),
        processing=processing,
        by_priority=ByPriority(**{priority_name(each): pending.get(each, 0) for each in Priority}),
        paused=[priority_name(weight) for weight in paused],
    )

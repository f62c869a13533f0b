"""Room in an organization's queue: how many requests may be pending."""

from django.db.models import Count
from redis.exceptions import RedisError

from queue_app.models import AIRequest, QueuePolicy, Status
from queue_app.ordering import index
from queue_app.submission.submission import Submission

RETRY_AFTER_FULL_S = 5


class QueueFullError(Exception):
    """The organization has as many pending requests as its limit allows. Retry after `retry_after_s` seconds."""

    retry_after_s = RETRY_AFTER_FULL_S


def place_in_queue(submission: Submission) -> int:
    """Approximate position in the organization's queue, starting at 1. Raises QueueFullError."""
    try:
        depth, limit = index.room_of(submission.organization_id)
    except RedisError:
        depth, limit = _room_by_rows(submission.organization_id)
    if sum(depth.values()) >= limit:
        raise QueueFullError("Too many requests are already waiting.")
    return 1 + sum(count for priority, count in depth.items() if priority >= submission.priority)


def _room_by_rows(organization_id: int) -> tuple[dict[int, int], int]:
    """What `index.room_of` returns, while Redis is down."""
    pending = AIRequest.objects.filter(organization_id=organization_id, status=Status.PENDING)
    policy = QueuePolicy.objects.filter(organization_id=organization_id).first()
    limit = policy.depth_limit if policy else QueuePolicy.DEPTH_LIMIT
    return dict(pending.values_list("priority").annotate(Count("id"))), limit

"""Counts the calls that budgets refuse. The transaction of a refused call is rolled back, so Redis counts until the
scheduler adds the counts to the windows: a refusal costs one command and no write. If Redis loses data, counts are
lost, not money.
"""

import logging

from django.db.models import F
from redis import RedisError

from aiinfra.redis import redis_client
from aiinfra.tenants.scope import system_scope
from cost_app.models import BudgetWindow

logger = logging.getLogger(__name__)

COUNTS = "cost:{refused}:calls"
BOUNDS = "cost:{refused}:bounds"
"""Hashes by window: how many calls since the last run, and the maximum cost of the last one in nano-dollars."""


def record_refusal(window_id: int, bound_nano: int) -> None:
    """Count a call that did not fit. Never raises: without Redis the call is refused but not counted."""
    try:
        with redis_client().pipeline() as pipeline:
            pipeline.hincrby(COUNTS, str(window_id), 1)
            pipeline.hset(BOUNDS, str(window_id), bound_nano)
            pipeline.execute()
    except RedisError:
        logger.warning("could not count a refused call", extra={"fields": {"window": window_id}})


def is_any_uncounted() -> bool:
    """Whether a call was refused since the last run. Raises RedisError."""
    return bool(redis_client().exists(COUNTS, BOUNDS))


def count_refusals() -> set[int]:
    """Add the counts since the last run to the windows; returns their organizations. Raises RedisError.

    One statement for each window that refused something. If nothing was refused, one plain command to Redis.
    """
    if not is_any_uncounted():
        return set()
    with redis_client().pipeline() as pipeline:
        pipeline.hgetall(COUNTS)
        pipeline.hgetall(BOUNDS)
        pipeline.delete(COUNTS, BOUNDS)
        counts, bounds, _ = pipeline.execute()
    refused = {int(window): (int(count), int(bounds.get(window, 0))) for window, count in counts.items()}
    with system_scope():
        for window_id, (count, bound) in sorted(refused.items()):
            BudgetWindow.objects.filter(id=window_id).update(
                refused_calls=F("refused_calls") + count, refused_nano=bound
            )
        of_windows = BudgetWindow.objects.filter(id__in=list(refused)).order_by()
        return set(of_windows.values_list("organization_id", flat=True)) if refused else set()

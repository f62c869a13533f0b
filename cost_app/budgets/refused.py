"""Counting the calls that budgets refuse. The transaction of a refused call is rolled back, so Redis counts until the
scheduler adds it to the windows: a refusal costs one command and no write. What Redis loses is a count, not money.
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
"""Hashes by window: how many calls since the last look, and the bound of the last one in nano-dollars."""


def note_refusal(window_id: int, bound_nano: int) -> None:
    """Remember that a call did not fit. Never raises: without Redis the call is refused uncounted."""
    try:
        with redis_client().pipeline() as pipeline:
            pipeline.hincrby(COUNTS, str(window_id), 1)
            pipeline.hset(BOUNDS, str(window_id), bound_nano)
            pipeline.execute()
    except RedisError:
        logger.warning("refused call not counted", extra={"fields": {"window": window_id}})


def count_refusals() -> set[int]:
    """Add what was refused since the last time to the windows; returns their organizations. Raises RedisError.

    One statement for each window that refused something, none where nothing was refused.
    """
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

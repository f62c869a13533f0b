"""Publishes what a worker has committed to Redis: events, ended claims, and calls that count against limits."""

import logging
from collections.abc import Sequence

from redis.exceptions import RedisError

from aiinfra.redis import ScriptCall, run_together
from queue_app.ordering.claims import Claim

logger = logging.getLogger(__name__)


def publish(claim: Claim, scripts: Sequence[ScriptCall]) -> None:
    """Run the scripts in one round trip. If Redis is down, index repair corrects the index later."""
    try:
        run_together(scripts)
    except RedisError:
        logger.warning("change not published to Redis", exc_info=True, extra={"fields": {"request": claim.request.id}})

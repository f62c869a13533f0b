"""Tells Redis what a worker has committed: events, claims that have ended, and calls that count against limits."""

import logging
from collections.abc import Sequence

from redis.exceptions import RedisError

from aiinfra.redis import ScriptCall, run_together
from queue_app.ordering.claims import Claim

logger = logging.getLogger(__name__)


def tell(claim: Claim, news: Sequence[ScriptCall]) -> None:
    """Run the scripts in one round trip. If Redis is down, index repair corrects the index later."""
    try:
        run_together(news)
    except RedisError:
        logger.warning("Redis not told of a request", exc_info=True, extra={"fields": {"request": claim.request.id}})

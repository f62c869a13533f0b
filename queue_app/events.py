"""Telling those who wait that a request moved. Losing one is no harm: who waits also looks at the row."""

import json
import logging
from uuid import UUID

from redis.exceptions import RedisError

from aiinfra.redis import redis_client

logger = logging.getLogger(__name__)

CHANNEL = "aiinfra:requests"


def changed(organization_id: int, request_id: UUID) -> None:
    """Announce that a request ended or started over."""
    try:
        redis_client().publish(CHANNEL, json.dumps({"organization": organization_id, "request": str(request_id)}))
    except RedisError:
        logger.debug("event not sent", exc_info=True)

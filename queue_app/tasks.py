"""The RQ job: a ticket."""

import logging

from django.db import close_old_connections
from redis.exceptions import RedisError
from rq import get_current_job

from queue_app.ordering.claims import claim_next
from queue_app.processing import in_flight
from queue_app.processing.provider_call import process
from queue_app.processing.write_gate import slot

logger = logging.getLogger(__name__)


def run_next() -> None:
    """Process the best requests one after another until nothing is left to claim or the worker is stopping."""
    job = get_current_job()
    worker = (job.worker_name if job else None) or "in-process"
    try:
        while not in_flight.stopping.is_set() and _work_once(worker):
            pass
    except RedisError:
        logger.warning("Redis is down; this ticket ends and index repair pushes a new one", exc_info=True)
    finally:
        close_old_connections()


def _work_once(worker: str) -> bool:
    with slot():
        claim = claim_next(worker)
    if claim is None:
        return False
    try:
        with in_flight.track(claim):
            process(claim)
    except Exception:
        # The lease is no longer renewed, so index repair recovers the request and counts a crash.
        logger.exception("request broke its worker", extra={"fields": {"request": claim.request.id}})
    return True

"""The RQ job: a ticket."""

import logging

from django.db import close_old_connections
from redis.exceptions import RedisError
from rq import get_current_job

from queue_app.processing import in_flight
from queue_app.processing.dispatching import next_entry, start
from queue_app.processing.provider_call import run
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
        entry, all_closed = next_entry()
        started = start(entry, worker, all_closed=all_closed) if entry else None
    if started is not None:
        claim, attempt = started
        try:
            with in_flight.track(claim):
                run(claim, attempt)
        except Exception:
            # The lease is no longer renewed, so index repair recovers the request and counts a crash.
            logger.exception("request broke its worker", extra={"fields": {"request": claim.request.id}})
    return entry is not None

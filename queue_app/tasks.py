"""The RQ job: a ticket."""

import logging

from django.db import close_old_connections
from redis.exceptions import RedisError
from rq import get_current_job

from queue_app.ordering.standby import stand_by
from queue_app.processing import in_flight
from queue_app.processing.dispatching import next_entry, start
from queue_app.processing.provider_call import run
from queue_app.processing.write_gate import slot

logger = logging.getLogger(__name__)

IN_PROCESS = "in-process"
"""The worker's name if RQ has none."""


def run_next() -> None:
    """Process the best requests one after another until nothing is left to claim or the worker is stopping.

    A worker's thread stands by for a moment before it ends its ticket.
    """
    job = get_current_job()
    worker = (job.worker_name if job else None) or IN_PROCESS
    try:
        while not in_flight.stopping.is_set() and (_work_once(worker) or _stand_by(worker)):
            pass
    except RedisError:
        logger.warning("Redis is down; this ticket ends and index repair pushes a new one", exc_info=True)
    finally:
        close_old_connections()


def _stand_by(worker: str) -> bool:
    close_old_connections()  # returned to the pool, for the threads that have work
    return worker != IN_PROCESS and stand_by(worker)


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
            logger.exception("request failed in its worker", extra={"fields": {"request": claim.request.id}})
    return entry is not None

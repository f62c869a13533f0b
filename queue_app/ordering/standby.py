"""Threads that stand by: when they run out of work, they wait a moment for more before their ticket ends.

A ticket costs its worker a third of a request's CPU, because RQ reads and writes its state several times. Waking a
thread that stands by takes one command. As with tickets, nothing is lost if Redis loses this: the scheduler looks for
ready work at least twice per second.
"""

import threading

from django.conf import settings

from aiinfra.redis import redis_client
from queue_app.ordering.index import PREFIX

STANDBY = PREFIX + "standby"
"""The list of threads that stand by; `lua/wake.lua` takes the last one first, so that the others' tickets can end."""
WAIT_S = 0.2
"""How long Redis is asked to wait. It may take 0.2 s more, and then ends before the client's timeout, an error."""
WAITS = 5
"""How often in a row. A thread that was not woken for a second is not needed now."""
STANDING_BY_MAX = settings.REDIS_MAX_CONNECTIONS // 2
"""Threads of a process that stand by at once: each occupies one of its Redis connections."""
FORGOTTEN_AFTER_S = 5
"""Threads that were killed while they stood by are forgotten if no other one stands by for so long."""

_places = threading.BoundedSemaphore(STANDING_BY_MAX)


def stand_by(worker: str) -> bool:
    """Whether this thread was woken within a second: there may be work. Raises RedisError."""
    if not _places.acquire(blocking=False):
        return False
    try:
        return _is_woken(f"{worker}:{threading.get_ident()}")
    finally:
        _places.release()


def _is_woken(name: str) -> bool:
    woken = f"{PREFIX}woken:{name}"
    with redis_client().pipeline(transaction=False) as pipeline:
        pipeline.lpush(STANDBY, name)
        pipeline.expire(STANDBY, FORGOTTEN_AFTER_S)
        pipeline.blpop([woken], timeout=WAIT_S)
        if pipeline.execute()[-1] or any(redis_client().blpop([woken], timeout=WAIT_S) for _ in range(1, WAITS)):
            return True
        # Woken at the last moment if it no longer stands by.
        pipeline.lrem(STANDBY, 0, name)
        pipeline.delete(woken)
        return not pipeline.execute()[0]

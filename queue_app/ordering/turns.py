"""Requests in the queue whose clients wait to make the call in their own process: a claim hands them over.

A claim that nobody picks up is one without a row: index repair ends it after the time of a lease.
"""

import json
from uuid import UUID

from django.conf import settings

from aiinfra.redis import ScriptCall
from queue_app.ordering import index
from queue_app.ordering.index import IndexEntry

TURN = "turn"
"""Type of the message that announces a turn, on the channel of live events. Its subject is the request's ID."""
MS = 1000


def kept_s() -> float:
    """How long a client waits without asking again, in seconds: less than index repair leaves a claim without a row."""
    return settings.QUEUE_LEASE_S * 2 / 3


def awaiting(request_id: UUID) -> ScriptCall:
    """What `handed_over` runs, for a round trip with other scripts."""
    return _awaiting(request_id, kept_s())


def handed_over(request_id: UUID) -> IndexEntry | None:
    """The claim of the request, once, if it is its turn. If not, the next claim is handed over. Raises RedisError."""
    return _parsed(awaiting(request_id).run())


def give_up(request_id: UUID) -> IndexEntry | None:
    """End the wait. Returns a claim that was handed over in the meantime. Raises RedisError."""
    return _parsed(_awaiting(request_id, 0).run())


def _awaiting(request_id: UUID, kept: float) -> ScriptCall:
    return index.script("await_turn", [str(request_id), round(kept * MS)])


def _parsed(claimed: str) -> IndexEntry | None:
    return IndexEntry.parse(*json.loads(claimed)) if claimed else None

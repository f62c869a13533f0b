"""Live events: publishes changes to every process that has a client subscribed to them.

The rows are authoritative; events only make updates fast. Publish after the commit; an event that Redis does not accept
is lost without an error. Each organization has a bounded history in Redis, so that a client can resume where it left
off.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from redis.commands.core import Script
from redis.exceptions import RedisError

from aiinfra.redis import ScriptCall, redis_client, run_together

logger = logging.getLogger(__name__)

CHANNEL = "live:events"
HISTORY_MAX = 2_000
"""Events kept per organization, plus up to 100 more, because Redis trims whole nodes. Measured: 340 bytes each."""
HISTORY_TTL_S = 3_600
"""A history is dropped after this long without new events."""
LISTENING_S = 10
"""How long one `mark_listening` call lasts."""
PAGE = 500
MARK = "mark"
"""Type of the first entry of a history, so that there is always an ID to resume from. Never sent to clients."""

_SOURCE = Path(__file__).parent / "lua" / "publish_events.lua"
_LISTENING = "live:listening"


class EventType(StrEnum):
    """What an event is about."""

    REQUEST = "request"
    QUEUE = "queue"
    BUDGET = "budget"
    ALERT = "alert"


PERMISSIONS = {
    EventType.REQUEST: "queue:read",
    EventType.QUEUE: "queue:read",
    EventType.BUDGET: "cost:read",
    EventType.ALERT: "cost:read",
}
"""The permission to see a type: the one that reads the same through the JSON API."""


@dataclass(frozen=True)
class Draft:
    """An event to publish. `subject` is the ID of its object, without spaces."""

    type: EventType
    subject: str
    data: BaseModel


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """A published event. `id` orders the events of one organization; `data` is JSON, ready to send."""

    organization_id: int
    id: str
    type: str
    subject: str
    data: str

    @property
    def position(self) -> tuple[int, int]:
        """The ID as a comparable number."""
        return position_of(self.id)

    @classmethod
    def parse(cls, message: str) -> "LiveEvent":
        """Parse an event from the channel. Raises ValueError."""
        organization_id, identity, kind, subject, data = message.split(" ", 4)
        return cls(int(organization_id), identity, kind, subject, data)


def position_of(event_id: str) -> tuple[int, int]:
    """An event ID as a comparable number. Raises ValueError if it is invalid."""
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number)


def publish(
    organization_id: int, drafts: Sequence[Draft], *, if_changed: bool = False, also: Sequence[ScriptCall] = ()
) -> None:
    """Publish events to the organization's clients, and run further scripts in the same round trip.

    Call it after the commit. With `if_changed`, events whose data equals the last of their subject are skipped. Never
    raises for Redis.
    """
    if not drafts:
        return
    try:
        run_together([publication(organization_id, drafts, if_changed=if_changed), *also])
    except RedisError:
        logger.info("live events not sent", extra={"fields": {"organization": organization_id, "events": len(drafts)}})


def publication(organization_id: int, drafts: Sequence[Draft], *, if_changed: bool = False) -> ScriptCall:
    """What `publish` sends, for a round trip with other scripts."""
    arguments: list[str | int] = [CHANNEL, organization_id, HISTORY_MAX, HISTORY_TTL_S]
    for draft in drafts:
        arguments += [draft.type, draft.subject, draft.data.model_dump_json(by_alias=True), int(if_changed)]
    return ScriptCall(_script(), [_history(organization_id), f"live:{{{organization_id}}}:figures"], arguments)


def erase_history(organization_id: int) -> None:
    """Delete an organization's events; connected clients get an event that tells them to reload. Raises RedisError."""
    redis_client().delete(_history(organization_id), f"live:{{{organization_id}}}:figures")


def newest_id(organization_id: int) -> str:
    """The ID after which new events follow; starts an empty history. Raises RedisError."""
    newest = redis_client().xrevrange(_history(organization_id), count=1)
    if newest:
        return str(newest[0][0])
    with redis_client().pipeline() as pipeline:
        pipeline.xadd(_history(organization_id), {"type": MARK, "subject": "-", "data": "{}"})
        pipeline.expire(_history(organization_id), HISTORY_TTL_S)
        return str(pipeline.execute()[0])


def events_after(organization_id: int, event_id: str) -> tuple[list[LiveEvent], bool]:
    """Up to 500 events after an ID, and whether the history is complete since then. Raises RedisError.

    It is incomplete for an ID that is too old, and for one that the history never had because Redis has lost its data
    since.
    """
    key = _history(organization_id)
    with redis_client().pipeline(transaction=False) as pipeline:
        # The events first: if the history still begins before the ID after the read, it was complete during the read.
        pipeline.xrange(key, min=f"({event_id}", count=PAGE)
        pipeline.xrange(key, max=event_id, count=1)
        pipeline.xrevrange(key, min=event_id, count=1)
        entries, until, since = pipeline.execute()
    return [_entry(organization_id, *entry) for entry in entries], bool(until and since)


def mark_listening(organization_id: int) -> None:
    """Record that a client is listening, so that figures are computed for its organization. Raises RedisError."""
    client = redis_client()
    client.zadd(_LISTENING, {str(organization_id): client.time()[0] + LISTENING_S})


def is_anyone_listening() -> bool:
    """Whether any organization may have a client now. One cheap command. Raises RedisError."""
    return bool(redis_client().exists(_LISTENING))


def listening() -> list[int]:
    """The organizations with a client now. Raises RedisError."""
    if not is_anyone_listening():
        return []
    client = redis_client()
    now = client.time()[0]
    with client.pipeline(transaction=False) as pipeline:
        pipeline.zremrangebyscore(_LISTENING, "-inf", now)
        pipeline.zrange(_LISTENING, 0, -1)
        return [int(organization_id) for organization_id in pipeline.execute()[1]]


def _entry(organization_id: int, identity: str, fields: dict[str, Any]) -> LiveEvent:
    return LiveEvent(organization_id, identity, fields["type"], fields["subject"], fields["data"])


def _history(organization_id: int) -> str:
    return f"live:{{{organization_id}}}:history"


@cache
def _script() -> Script:
    return redis_client().register_script(_SOURCE.read_text())

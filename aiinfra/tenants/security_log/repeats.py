"""Events that anyone can cause as often as they like: the first of a minute is written, the others are counted.

So a flood of wrong keys adds two rows a minute for each key and address, and at most
`DIFFERENT_MAX` pairs a minute for each kind of event, with and without a known actor.
The counts are in Redis until the scheduler writes them; they are lost with it, the first events are not.
"""

import json
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from django.db import DatabaseError, transaction
from django.utils import timezone
from redis import Redis
from redis.commands.core import Script
from redis.exceptions import RedisError

from aiinfra.logs import request_id_var
from aiinfra.redis import redis_client
from aiinfra.tenants.caller import caller_address
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import CountedMinute
from aiinfra.tenants.security_log.recorder import record

logger = logging.getLogger(__name__)

PREFIX = "{security-log}"
DIFFERENT_MAX = 200
WITHOUT_REDIS_MAX = 60
OTHERS = json.dumps([Event.OTHERS, "", "", None, ""])
SETTLE_EVERY_S = 15
KEPT = timedelta(days=2)

_source = (Path(__file__).parent / "lua" / "count.lua").read_text()
_lock = threading.Lock()
_direct = {"minute": 0, "rows": 0}


def count(event: str, *, actor: str = "", organization: str = "", target: str = "") -> None:
    """Record the event, or count it if the same one happened in this minute: same actor, organization, target and
    address.

    Costs one Redis command, and one INSERT for the first. Never raises an error of Redis or the database.
    """
    address = caller_address()
    fields = json.dumps([event, actor[:200], organization, address, target[:200]])
    try:
        bucket = event if actor else f"{event}/anonymous"
        arguments: list[str | int] = [fields, request_id_var.get(), DIFFERENT_MAX, OTHERS, bucket]
        number = int(_script()(keys=[PREFIX], args=arguments, client=redis_client()))
    except RedisError:
        number = 1 if _may_write_without_redis() else 0
    if number == 1:
        _record_first(event, actor=actor, organization=organization, address=address, target=target)


def settle() -> int:
    """Write the counts of the minutes that are over; returns the number of rows. For the scheduler.

    A crash repeats no row: a minute's rows and the note that they were written are one transaction.
    """
    client = redis_client()
    current = int(client.time()[0]) // 60
    written = 0
    for name in sorted(str(each) for each in client.smembers(f"{PREFIX}:minutes")):
        minute = int(name.rpartition(":")[2])
        if minute >= current:
            continue
        counts, firsts = f"{PREFIX}:{name}", f"{PREFIX}:first:{name}"
        written += _write(name, _texts(client, counts), _texts(client, firsts))
        client.delete(counts, firsts)
        client.srem(f"{PREFIX}:minutes", name)
    CountedMinute.objects.filter(at__lt=timezone.now() - KEPT).delete()
    return written


def _texts(client: Redis, key: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in client.hgetall(key).items()}


def _record_first(event: str, **fields: str | None) -> None:
    """Log database errors instead of raising them: the caller is already returning an error."""
    try:
        record(event, **fields)  # type: ignore[arg-type]
    except DatabaseError:
        logger.exception("a security event was not written", extra={"fields": {"event": event, **fields}})


@transaction.atomic
def _write(name: str, counts: dict[str, str], firsts: dict[str, str]) -> int:
    if not CountedMinute.objects.get_or_create(name=name)[1]:
        return 0
    began = datetime.fromtimestamp(int(name.rpartition(":")[2]) * 60, UTC)
    rows = 0
    for fields, number in counts.items():
        repeated = int(number) - (fields != OTHERS)
        if repeated:
            event, actor, organization, address, target = json.loads(fields)
            record(
                event,
                actor=actor,
                organization=organization,
                address=address,
                request_id=firsts.get(fields, ""),
                target=target,
                details={"repeated": repeated, "minute": began.isoformat(timespec="minutes")},
            )
            rows += 1
    return rows


@cache
def _script() -> Script:
    return redis_client().register_script(_source)


def _may_write_without_redis() -> bool:
    """At most 60 rows a minute and process."""
    minute = int(time.monotonic()) // 60
    with _lock:
        if _direct["minute"] != minute:
            _direct.update(minute=minute, rows=0)
        _direct["rows"] += 1
        return _direct["rows"] <= WITHOUT_REDIS_MAX

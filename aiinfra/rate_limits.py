"""Rate limits per minute as token buckets: a burst of up to a minute's worth, then a steady refill rate.

The buckets are in Redis and shared by all processes. While Redis is down, each process has its own.
"""

import logging
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from redis.commands.core import Script
from redis.exceptions import RedisError

from aiinfra import epochs, timed_cache
from aiinfra.redis import ScriptCall, redis_client

logger = logging.getLogger(__name__)

PREFIX = epochs.PREFIX
STAY_MS = 10 * 60 * 1000
"""A request whose process died stops counting as in progress after this time."""
AWAY_S = 1.0
"""How long local limits apply after Redis fails, before it is tried again."""
LOCAL_BUCKETS_MAX = 10_000

_SOURCE = Path(__file__).parent / "lua" / "take.lua"


@dataclass(frozen=True)
class Rate:
    """At most `per_minute` of something; this request takes `cost` of it."""

    name: str
    per_minute: int
    unit: str = "requests"
    cost: int = 1


@dataclass(frozen=True)
class Slots:
    """At most `most` requests in progress."""

    name: str
    most: int


@dataclass(frozen=True)
class Taken:
    """The result: whether the request is allowed, and the state of each rate in the given order."""

    refused: Rate | Slots | None
    retry_after_s: int
    left: tuple[int, ...]


def take(
    rates: Sequence[Rate], slots: Sequence[Slots] = (), member: str = "", organization_id: int | None = None
) -> Taken:
    """Take from all rates and slots, or from none if one of them refuses. One Redis command; never raises.

    Also reads the organization's epoch for the current request.
    """
    if not _local.is_in_charge():
        try:
            return _take_in_redis(rates, slots, member, organization_id)
        except RedisError:
            _local.take_charge()
    return _local.take(rates)


def take_here(rates: Sequence[Rate]) -> Taken:
    """Like `take`, but counted in this process only, without a Redis command."""
    return _local.take(rates)


def leave(slots: Sequence[Slots], member: str) -> None:
    """Release the request's slots. Never raises."""
    if _local.is_in_charge():
        return
    try:
        with redis_client().pipeline(transaction=False) as pipeline:
            for each in slots:
                pipeline.zrem(PREFIX + each.name, member)
            pipeline.execute()
    except RedisError:
        _local.take_charge()


def _take_in_redis(rates: Sequence[Rate], slots: Sequence[Slots], member: str, organization_id: int | None) -> Taken:
    limits: list[Rate | Slots] = [*rates, *slots]
    keys = [PREFIX + each.name for each in limits]
    if organization_id is not None:
        keys += epochs.keys_of(organization_id)
    arguments: list[int | str] = [len(rates), len(slots), member, STAY_MS]
    for rate in rates:
        arguments += [rate.per_minute, rate.cost]
    arguments += [each.most for each in slots]
    refused, wait_ms, words, *left = ScriptCall(_script(), keys, arguments).run()
    if organization_id is not None:
        epochs.learn(organization_id, words)
    return Taken(limits[refused - 1] if refused else None, math.ceil(wait_ms / 1000), tuple(left))


@cache
def _script() -> Script:
    return redis_client().register_script(_SOURCE.read_text(encoding="utf-8"))


class _Local:
    """The same buckets in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()
        timed_cache.register(self)

    def forget(self) -> None:
        """Refill all buckets, and use Redis again."""
        self._buckets: dict[str, tuple[float, float]] = {}
        self._until = 0.0

    def is_in_charge(self) -> bool:
        """Whether to count locally, because Redis failed recently."""
        return time.monotonic() < self._until

    def take_charge(self) -> None:
        """Count locally for a while, because Redis failed."""
        logger.info("Redis is not responding; rate limits are counted per process")
        self._until = time.monotonic() + AWAY_S

    def take(self, rates: Sequence[Rate]) -> Taken:
        """See `take`."""
        now = time.monotonic()
        with self._lock:
            levels = [self._level(each, now) for each in rates]
            waits = [_wait_s(each, level) for each, level in zip(rates, levels, strict=True)]
            longest = max(waits, default=0.0)
            if longest > 0:
                refused = rates[waits.index(longest)]
                return Taken(refused, math.ceil(longest), tuple(max(0, int(level)) for level in levels))
            if len(self._buckets) > LOCAL_BUCKETS_MAX:
                self._buckets.clear()
            for each, level in zip(rates, levels, strict=True):
                self._buckets[each.name] = (level - each.cost, now)
        return Taken(None, 0, tuple(max(0, int(level - each.cost)) for each, level in zip(rates, levels, strict=True)))

    def _level(self, rate: Rate, now: float) -> float:
        level, at = self._buckets.get(rate.name, (float(rate.per_minute), now))
        return min(rate.per_minute, level + (now - at) * rate.per_minute / 60)


def _wait_s(rate: Rate, level: float) -> float:
    """Seconds until the rate allows its cost. A cost above the bucket's size needs a full bucket."""
    return max(0.0, (min(rate.cost, rate.per_minute) - level) * 60 / rate.per_minute)


_local = _Local()

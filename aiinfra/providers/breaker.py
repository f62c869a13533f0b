"""The circuit breaker: after several failures in a row a model is left alone for a while.

One state per provider and model, shared by all workers through Redis and changed by small scripts on Redis's own clock,
so that exactly one call, the probe, goes through when the pause is over. Without Redis every call is allowed.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings
from redis import RedisError

from aiinfra.providers.base import ErrorCode
from aiinfra.redis import redis_client

logger = logging.getLogger(__name__)

FAILURES = frozenset({ErrorCode.TIMEOUT, ErrorCode.CONNECTION_ERROR, ErrorCode.SERVER_ERROR})
"""What counts against a provider. A rate limit or a refusal is an answer of a server in good health."""

PROBE_LIMIT_S = 130
"""The longest call (120 s) and some: when a prober has not reported by then it is dead, and another may try."""

PROBING_PAUSE_S = 10
"""Who comes while the probe is out asks again after this: most calls have ended by then."""

_KEY = "aiinfra:breaker:states"

# A field of the hash is "failures|opened at|probe until"; times in ms, 0 for never. Closed while "opened at" is 0.
_READ = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HGET', KEYS[1], ARGV[1]) or '0|0|0'
local failures, opened, probe = string.match(state, '(%d+)|(%d+)|(%d+)')
failures, opened, probe = tonumber(failures), tonumber(opened), tonumber(probe)
local function write(failures, opened, probe)
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%d|%d|%d', failures, opened, probe))
end
"""
_ALLOW = f"""{_READ}
if opened == 0 then return -1 end
local wait = opened + tonumber(ARGV[2]) - now
if wait <= 0 and probe > now then wait = math.min(probe - now, tonumber(ARGV[2]), tonumber(ARGV[4])) end
if wait > 0 then return wait end
write(failures, opened, now + tonumber(ARGV[3]))
return -1
"""
# A straggler from before the pause ends well or badly without changing an open circuit.
_SUCCESS = f"""{_READ}
if opened == 0 or probe > 0 then write(0, 0, 0) end
"""
_FAILURE = f"""{_READ}
if probe > 0 or (opened == 0 and failures + 1 >= tonumber(ARGV[2])) then
  write(failures + 1, now, 0)
elseif opened == 0 then
  write(failures + 1, 0, 0)
end
"""
_RELEASE = f"""{_READ}
if probe > 0 then write(failures, opened, 0) end
"""


class CircuitState(StrEnum):
    """Closed: calls go through. Open: none does. Half-open: the pause is over and one probe decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True)
class Decision:
    """Whether a call may be made; where not, seconds until it is worth asking again."""

    allowed: bool
    retry_in_s: float = 0.0


@dataclass(frozen=True)
class BreakerState:
    """One circuit as screens show it: failures in a row, and seconds until the next probe (0 unless open)."""

    provider: str
    model: str
    state: CircuitState
    failures: int
    probe_in_s: float


def allow(provider: str, model: str) -> Decision:
    """Ask before each call; who is let through must report the outcome by one of the functions below."""
    open_ms = round(settings.BREAKER_OPEN_S * 1000)
    wait_ms = _run(_ALLOW, provider, model, open_ms, PROBE_LIMIT_S * 1000, PROBING_PAUSE_S * 1000)
    return Decision(True) if wait_ms is None or wait_ms < 0 else Decision(False, wait_ms / 1000)


def record_success(provider: str, model: str) -> None:
    """The call was answered: the circuit closes."""
    _run(_SUCCESS, provider, model)


def record_failure(provider: str, model: str) -> None:
    """The call failed in one of `FAILURES`: the circuit opens at the limit, at once after a probe."""
    _run(_FAILURE, provider, model, settings.BREAKER_FAILURES)


def release_probe(provider: str, model: str) -> None:
    """The call ended without saying anything of the provider's health, or was not made: another may be the probe."""
    _run(_RELEASE, provider, model)


def states() -> list[BreakerState]:
    """Every circuit that was ever used, by name; one round trip. Empty where Redis does not answer."""
    try:
        with redis_client().pipeline(transaction=False) as pipeline:
            pipeline.time()
            pipeline.hgetall(_KEY)
            (seconds, microseconds), fields = pipeline.execute()
    except RedisError:
        logger.warning("breaker states unknown: Redis does not answer", exc_info=True)
        return []
    now_ms = seconds * 1000 + microseconds // 1000
    return sorted(_parsed(fields, now_ms), key=lambda state: (state.provider, state.model))


def _parsed(fields: Mapping[str, str], now_ms: int) -> list[BreakerState]:
    return [_state(name, value, now_ms) for name, value in fields.items()]


def _state(name: str, value: str, now_ms: int) -> BreakerState:
    provider, _, model = name.partition("/")
    failures, opened, _probe = map(int, value.split("|"))
    wait_ms = max(opened + round(settings.BREAKER_OPEN_S * 1000) - now_ms, 0) if opened else 0
    state = CircuitState.CLOSED if not opened else CircuitState.OPEN if wait_ms else CircuitState.HALF_OPEN
    return BreakerState(provider, model, state, failures, wait_ms / 1000)


def _run(script: str, provider: str, model: str, *arguments: int) -> Any:
    """The script's result, or None where Redis does not answer: a lost breaker must not stop the calls."""
    try:
        return redis_client().eval(script, 1, _KEY, f"{provider}/{model}", *arguments)
    except RedisError:
        logger.warning("circuit breaker skipped: Redis does not answer", exc_info=True)
        return None

"""The circuit breaker: after several failures in a row, calls to a model pause for a while.

One state per provider and model, shared by all workers through Redis and changed by small scripts on Redis's own clock,
so that exactly one call, the probe, goes through after the pause. Without Redis every call is allowed.

One organization alone does not open the circuit for the others: if several have called a model within `ACTIVE_S`, more
than one of them must fail, and a circuit that one organization's failures opened lets the first call of another through
as a probe.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from django.conf import settings
from redis import RedisError
from redis.commands.core import Script

from aiinfra.providers.base import HANDLING, ErrorCode, ProviderError
from aiinfra.redis import ScriptCall, redis_client

logger = logging.getLogger(__name__)

COUNTED_TIMEOUT_S = 30.0
"""The default timeout. A timeout counts only if the caller allowed at least this long."""

ACTIVE_S = 300
"""An organization counts as a caller of a model for this long after its last call."""
INSTALLATION = 0
"""The caller for calls without an organization. Its failures count for all."""
CALLERS_KEPT = 20
"""Organizations that one state remembers."""

PROBE_LIMIT_S = 130
"""The longest call (120 s) plus a margin: a prober that has not reported by then is dead, and another may try."""

PROBING_PAUSE_S = 10
"""While the probe is running, callers ask again after this: most calls have ended by then."""

_KEY = "aiinfra:breaker:states"
_OPEN = "open"

# A field of the hash is "failures|opened at|probe until|callers"; times in ms, 0 for never. Closed while "opened at" is
# 0. A caller is "organization:last call:1 if its last call failed"; they are joined by commas. The field `open` is 0 if
# every circuit is closed, and 1 if not; without it nobody knows.
_READ = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HGET', KEYS[1], ARGV[1]) or '0|0|0|'
local failures, opened, probe, listed = string.match(state, '(%d+)|(%d+)|(%d+)|?(.*)')
failures, opened, probe = tonumber(failures), tonumber(opened), tonumber(probe)
local me, callers, failing, content, count = ARGV[2], {{}}, 0, 0, 0
for name, seen, failed in string.gmatch(listed, '(%d+):(%d+):(%d)') do
  if name ~= me and tonumber(seen) > now - {ACTIVE_S * 1000} and count < {CALLERS_KEPT - 1} then
    callers[name] = seen .. ':' .. failed
    count = count + 1
  end
  if name == me or callers[name] then
    local weight = name == '{INSTALLATION}' and 2 or 1
    if failed == '1' then failing = failing + weight else content = content + 1 end
  end
end
local function note_open()
  local any, fields = 0, redis.call('HGETALL', KEYS[1])
  for i = 1, #fields, 2 do
    if string.match(fields[i + 1], '^%d+|[1-9]') then any = 1 end
  end
  redis.call('HSET', KEYS[1], '{_OPEN}', any)
end
local function write(failures, opened_at, probe)
  local list = {{}}
  for name, caller in pairs(callers) do list[#list + 1] = name .. ':' .. caller end
  local state = string.format('%d|%d|%d|', failures, opened_at, probe) .. table.concat(list, ',')
  redis.call('HSET', KEYS[1], ARGV[1], state)
  if (opened > 0) ~= (opened_at > 0) then note_open() end
end
"""
# The pause does not apply to an organization without failures if another one alone opened the circuit.
_ALLOW = f"""{_READ}
if opened == 0 then
  if redis.call('HEXISTS', KEYS[1], '{_OPEN}') == 0 then note_open() end
  return -1
end
local mine = string.match(',' .. listed, ',' .. me .. ':%d+:(%d)')
local wait = opened + tonumber(ARGV[3]) - now
if failing == 1 and mine ~= '1' then wait = 0 end
if wait <= 0 and probe > now then wait = math.min(probe - now, tonumber(ARGV[3]), tonumber(ARGV[5])) end
if wait > 0 then return wait end
if mine then callers[me] = now .. ':' .. mine end
write(failures, opened, now + tonumber(ARGV[4]))
return -1
"""
# A late call from before the pause does not change an open circuit, whether it succeeds or fails.
_SUCCESS = f"""{_READ}
if opened == 0 or probe > 0 then
  for name, caller in pairs(callers) do callers[name] = string.gsub(caller, ':1', ':0') end
  callers[me] = now .. ':0'
  write(0, 0, 0)
end
"""
_FAILURE = f"""{_READ}
local mine = string.match(',' .. listed, ',' .. me .. ':%d+:(%d)')
if mine == '0' then content = content - 1 end
if mine ~= '1' then failing = failing + 1 end
callers[me] = now .. ':1'
local concerns_all = failing > 1 or content == 0 or me == '{INSTALLATION}'
if probe > 0 or (opened == 0 and failures + 1 >= tonumber(ARGV[3]) and concerns_all) then
  write(failures + 1, now, 0)
elseif opened == 0 then
  write(failures + 1, 0, 0)
end
"""
_RELEASE = f"""{_READ}
if probe > 0 then
  callers[me] = string.match(',' .. listed, ',' .. me .. ':(%d+:%d)')
  write(failures, opened, 0)
end
"""


_ALL_CLOSED = f"""
return redis.call('HGET', KEYS[1], '{_OPEN}') == '0'
"""


class CircuitState(StrEnum):
    """Closed: calls go through. Open: none does. Half-open: the pause is over and one probe decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True)
class Decision:
    """Whether a call may be made; if not, seconds until it is worth asking again."""

    allowed: bool
    retry_in_s: float = 0.0


@dataclass(frozen=True)
class BreakerState:
    """One circuit as screens show it: failures in a row, and seconds until the next probe (0 unless open).

    `failing` are the organizations whose calls failed since the last answer.
    """

    provider: str
    model: str
    state: CircuitState
    failures: int
    probe_in_s: float
    failing: tuple[int, ...] = ()

    @property
    def holds_all(self) -> bool:
        """Whether it pauses every organization's calls while it is open."""
        return len(self.failing) != 1 or INSTALLATION in self.failing


def allow(provider: str, model: str, organization_id: int = INSTALLATION) -> Decision:
    """Ask before each call; an allowed caller must report the outcome with one of the functions below."""
    open_ms = round(settings.BREAKER_OPEN_S * 1000)
    pauses = (open_ms, PROBE_LIMIT_S * 1000, PROBING_PAUSE_S * 1000)
    wait_ms = _run(_ALLOW, provider, model, organization_id, *pauses)
    return Decision(True) if wait_ms is None or wait_ms < 0 else Decision(False, wait_ms / 1000)


def all_closed() -> ScriptCall:
    """Asks, in a round trip with other scripts, whether every circuit is closed: 1 if so, and `allow` would allow any
    call. None if one is not, or if nobody knows.
    """
    return ScriptCall(_registered(_ALL_CLOSED), [_KEY], [])


def success(provider: str, model: str, organization_id: int = INSTALLATION) -> ScriptCall:
    """Report that the call was answered, in a round trip with other scripts: closes the circuit."""
    return _call(_SUCCESS, provider, model, organization_id)


def record_success(provider: str, model: str, organization_id: int = INSTALLATION) -> None:
    """The call was answered: close the circuit."""
    _run(_SUCCESS, provider, model, organization_id)


def record_error(provider: str, model: str, organization_id: int, error: ProviderError, timeout_s: float) -> None:
    """The call failed: count the failure against the model, or release the probe if it isn't the provider's fault.

    `timeout_s` is the timeout that the caller set.
    """
    if counts(error, timeout_s):
        record_failure(provider, model, organization_id)
    else:
        release_probe(provider, model)


def counts(error: ProviderError, timeout_s: float) -> bool:
    """Whether a failure is the provider's fault: a rejected request or a short timeout is not."""
    if not HANDLING[error.code].trips or 0 < error.status < 500:
        return False
    return error.code is not ErrorCode.TIMEOUT or timeout_s >= COUNTED_TIMEOUT_S


def record_failure(provider: str, model: str, organization_id: int = INSTALLATION) -> None:
    """The call failed because of the provider: open the circuit at the limit, or immediately after a probe."""
    _run(_FAILURE, provider, model, organization_id, settings.BREAKER_FAILURES)


def release_probe(provider: str, model: str) -> None:
    """The call says nothing about the provider's health, or was not made: another call may be the probe."""
    _run(_RELEASE, provider, model, INSTALLATION)


def states() -> list[BreakerState]:
    """Every circuit ever used, by name; one round trip. Empty while Redis is down."""
    try:
        with redis_client().pipeline(transaction=False) as pipeline:
            pipeline.time()
            pipeline.hgetall(_KEY)
            (seconds, microseconds), fields = pipeline.execute()
    except RedisError:
        logger.warning("breaker states are unknown because Redis is down", exc_info=True)
        return []
    now_ms = seconds * 1000 + microseconds // 1000
    return sorted(_parsed(fields, now_ms), key=lambda state: (state.provider, state.model))


def _parsed(fields: Mapping[str, str], now_ms: int) -> list[BreakerState]:
    return [_state(name, value, now_ms) for name, value in fields.items() if name != _OPEN]


def _state(name: str, value: str, now_ms: int) -> BreakerState:
    provider, _, model = name.partition("/")
    first, second, _probe, *callers = value.split("|")
    failures, opened = int(first), int(second)
    wait_ms = max(opened + round(settings.BREAKER_OPEN_S * 1000) - now_ms, 0) if opened else 0
    state = CircuitState.CLOSED if not opened else CircuitState.OPEN if wait_ms else CircuitState.HALF_OPEN
    failing = tuple(int(caller.split(":")[0]) for caller in "".join(callers).split(",") if caller.endswith(":1"))
    return BreakerState(provider, model, state, failures, wait_ms / 1000, failing)


def _run(script: str, provider: str, model: str, *arguments: int) -> Any:
    """The script's result, or None while Redis is down: calls must continue without a breaker."""
    try:
        return _call(script, provider, model, *arguments).run()
    except RedisError:
        logger.warning("circuit breaker skipped because Redis is down", exc_info=True)
        return None


def _call(script: str, provider: str, model: str, *arguments: int) -> ScriptCall:
    return ScriptCall(_registered(script), [_KEY], [f"{provider}/{model}", *arguments])


@cache
def _registered(script: str) -> Script:
    return redis_client().register_script(script)

"""Limits on guessing passwords and codes.

An attempt is counted before anything is checked, in one step, so that many at once are not all evaluated. One that
succeeds is taken out again: people who know their password are never limited by their own logins.
"""

import hashlib
import math
import threading
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from redis.exceptions import RedisError

from aiinfra import timed_cache
from aiinfra.redis import redis_client
from aiinfra.tenants.caller import network_of

WINDOW_S = 300
PAIR_MAX = 10
"""Failures of one name from one address."""
NAME_MAX = 50
"""Failures of one name from all addresses: high enough that no one locks out others by accident."""
ADDRESS_MAX = 100
"""Failures from one address with all names: an office may share one."""
LOCAL_KEYS_MAX = 10_000

_LUA = Path(__file__).parent / "lua"


class TooManyAttemptsError(Exception):
    """Nothing was checked. Try again after `retry_after_s` seconds."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too many failed attempts. Try again in {_in_words(retry_after_s)}.")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Attempt:
    """A counted attempt; `succeed` takes it out again."""

    keys: tuple[str, ...]

    def succeed(self) -> None:
        """Forget the failures of this name from this address, and this attempt in the other counters."""
        _local.give_back(self.keys)
        try:
            redis_client().register_script((_LUA / "give_back.lua").read_text())(keys=self.keys)
        except RedisError:
            return


def begin(name: str, address: str | None) -> Attempt:
    """Count an attempt for a name from an address. Raises TooManyAttemptsError, and then counts nothing.

    The counters are in Redis. While it is down, each process has its own.
    """
    name, network = normalized(name), network_of(address)
    keys = (_key("pair", name, network), _key("name", name), _key("address", network))
    limits = (PAIR_MAX, NAME_MAX, ADDRESS_MAX)
    try:
        wait_ms = _begin_in_redis(keys, limits)
    except RedisError:
        wait_ms = _local.begin(keys, limits)
    if wait_ms:
        raise TooManyAttemptsError(math.ceil(wait_ms / 1000))
    return Attempt(keys)


def trimmed(name: str) -> str:
    """The spelling under which a name is looked up: NFKC, without surrounding blanks."""
    return unicodedata.normalize("NFKC", name).strip()


def normalized(name: str) -> str:
    """The spelling under which a name is counted: the same for everything that finds the same account."""
    return unicodedata.normalize("NFKC", trimmed(name).casefold()).strip()


def _begin_in_redis(keys: Sequence[str], limits: Sequence[int]) -> float:
    script = redis_client().register_script((_LUA / "begin_attempt.lua").read_text())
    return float(script(keys=keys, args=[WINDOW_S * 1000, *limits]))


def _key(kind: str, *parts: str) -> str:
    """A Redis key. Names and addresses are personal data, so only their hash is used."""
    digest = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()
    return f"{{login}}:{kind}:{digest}"


def _in_words(seconds: int) -> str:
    minutes = math.ceil(seconds / 60)
    return "one minute" if minutes == 1 else f"{minutes} minutes"


class _Local:
    """The same counters in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}
        timed_cache.register(self)

    def begin(self, keys: Sequence[str], limits: Sequence[int]) -> float:
        """See the Lua script of the same name."""
        now = time.monotonic()
        with self._lock:
            current = [self._current(key, now) for key in keys]
            waits = [end - now for (count, end), limit in zip(current, limits, strict=True) if count >= limit]
            if waits:
                return max(waits) * 1000
            if len(self._counts) >= LOCAL_KEYS_MAX:
                self._counts = {key: kept for key, kept in self._counts.items() if kept[1] > now}
            for key, (count, end) in zip(keys, current, strict=True):
                self._counts[key] = (count + 1, end)
        return 0

    def give_back(self, keys: Sequence[str]) -> None:
        """See the Lua script of the same name."""
        now = time.monotonic()
        with self._lock:
            self._counts.pop(keys[0], None)
            for key in keys[1:]:
                count, end = self._current(key, now)
                if count:
                    self._counts[key] = (count - 1, end)

    def forget(self) -> None:
        """Count from zero again."""
        with self._lock:
            self._counts.clear()

    def _current(self, key: str, now: float) -> tuple[int, float]:
        count, end = self._counts.get(key, (0, 0.0))
        return (count, end) if end > now else (0, now + WINDOW_S)


_local = _Local()

"""An in-process cache for rows that nearly every request needs and that rarely change."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from aiinfra import epochs

Key = TypeVar("Key")
Value = TypeVar("Value")


class Forgetful(Protocol):
    """Something that caches in this process."""

    def forget(self) -> None:
        """Drop it."""
        ...


_all: list[Forgetful] = []


def _no_reader(_key: Any) -> Any:
    raise TypeError("a cache that was made without a reader needs one at each lookup")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[Value]):
    """A cached value, and the state before its rows were read: the time, the last change, and the owner's epoch."""

    read_at: float
    number: int
    word: epochs.Word | None
    value: Value


class TimedCache(Generic[Key, Value]):
    """Caches what `read` returns for a key, for `seconds`.

    With an `owner`, a value lives longer during requests that know the owner's epoch (`aiinfra.epochs`): as long as the
    epoch stays the same, and a change made by any process takes effect at once. `owner` names the organization, or
    `epochs.INSTALLATION`, that a key and its value depend on.

    With `keeps_empty=False`, empty values are not cached, so that the first new row takes effect at once. When the
    cache has `keys_max` keys, the next one clears it.
    """

    def __init__(
        self,
        read: Callable[[Key], Value] = _no_reader,
        *,
        seconds: float,
        owner: Callable[[Key, Value], int] | None = None,
        keys_max: int = 10_000,
        keeps_empty: bool = True,
    ) -> None:
        self._read, self._seconds, self._owner = read, seconds, owner
        self._keys_max, self._keeps_empty = keys_max, keeps_empty
        self._kept: dict[Key, _Kept[Value]] = {}
        register(self)

    def of(self, key: Key, read: Callable[[], Value] | None = None) -> Value:
        """The value for a key. `read` overrides the cache's function. Exceptions propagate and nothing is cached."""
        kept = self._kept.get(key)
        if kept is not None and self._holds(key, kept):
            return kept.value
        read_at, number = time.monotonic(), epochs.now()
        value = read() if read else self._read(key)
        if value or self._keeps_empty:
            if len(self._kept) >= self._keys_max:
                self._kept.clear()
            self._kept[key] = _Kept(read_at, number, self._word(key, value), value)
        return value

    def find(self, key: Key) -> Value | None:
        """The last cached value for a key, possibly stale; None without one."""
        kept = self._kept.get(key)
        return kept.value if kept is not None and time.monotonic() - kept.read_at <= epochs.LOST_S else None

    def forget(self) -> None:
        """Clear the cache."""
        self._kept.clear()

    def _holds(self, key: Key, kept: _Kept[Value]) -> bool:
        age = time.monotonic() - kept.read_at
        if self._owner is None:
            return age <= self._seconds
        if epochs.is_changed(self._owner(key, kept.value), kept.number):
            return False
        request, word = epochs.current_request(), self._word(key, kept.value)
        if request is not None and kept.read_at >= request.began:
            return True
        return age < self._seconds if word is None else kept.word == word and age < epochs.LOST_S

    def _word(self, key: Key, value: Value) -> epochs.Word | None:
        """The owner's epoch, if the current request has read it."""
        request = epochs.current_request()
        return request.words.get(self._owner(key, value)) if request and self._owner else None


def register(memory: Forgetful) -> None:
    """Let `clear_all` clear this object too."""
    _all.append(memory)


def clear_all() -> None:
    """Clear every cache, for tests, which create and delete rows in one process."""
    for each in _all:
        each.forget()

"""Rows that nearly every request needs and that rarely change, kept in this process for a few seconds."""

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Forgetful(Protocol):
    """Keeps something in this process."""

    def forget(self) -> None:
        """Drop it."""
        ...


_all: list[Forgetful] = []


class TimedCache(Generic[Key, Value]):
    """What `read` returns for a key, read again after `seconds`.

    A change made in another process takes effect after that time. `keeps_empty=False` does not keep an empty value, so
    that the first row to appear counts at once. Once `keys_max` keys are kept, the next one clears the rest.
    """

    def __init__(
        self, read: Callable[[Key], Value], *, seconds: float, keys_max: int = 10_000, keeps_empty: bool = True
    ) -> None:
        self._read, self._seconds, self._keys_max, self._keeps_empty = read, seconds, keys_max, keeps_empty
        self._kept: dict[Key, tuple[float, Value]] = {}
        register(self)

    def of(self, key: Key) -> Value:
        """The value for a key. Raises what `read` raises, and then keeps nothing."""
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept[0] <= self._seconds:
            return kept[1]
        read_at, value = time.monotonic(), self._read(key)
        if value or self._keeps_empty:
            if len(self._kept) >= self._keys_max:
                self._kept.clear()
            self._kept[key] = (read_at, value)
        return value

    def forget(self) -> None:
        """Read every value again at its next use."""
        self._kept.clear()


def register(memory: Forgetful) -> None:
    """Let `forget_all` drop what this object keeps."""
    _all.append(memory)


def clear_all() -> None:
    """Forget what every instance keeps; for tests, whose rows come and go in one process."""
    for each in _all:
        each.forget()

"""The in-process cache of rows that nearly every request needs."""

import time

import pytest

from aiinfra import timed_cache
from aiinfra.timed_cache import TimedCache


class Table:
    """Rows with a read counter."""

    def __init__(self) -> None:
        self.rows: dict[str, list[int]] = {"north": [1]}
        self.reads = 0

    def read(self, key: str) -> list[int]:
        self.reads += 1
        return list(self.rows.get(key, []))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test sets."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    return clock


def test_a_value_is_read_again_after_it_expires(now: list[float]) -> None:
    table = Table()
    cached = TimedCache(table.read, seconds=5)
    assert cached.of("north") == [1]
    table.rows["north"] = [2]
    now[0] = 5
    assert cached.of("north") == [1]
    now[0] = 5.1
    assert cached.of("north") == [2]
    assert table.reads == 2


@pytest.mark.parametrize(("keeps_empty", "reads"), [(True, 1), (False, 2)])
def test_an_empty_value_is_cached_if_requested(keeps_empty: bool, reads: int) -> None:
    table = Table()
    cached = TimedCache(table.read, seconds=60, keeps_empty=keeps_empty)
    assert cached.of("south") == cached.of("south") == []
    assert table.reads == reads


def test_a_failed_read_is_not_cached() -> None:
    def fail(key: str) -> int:
        raise LookupError(key)

    cached = TimedCache(fail, seconds=60)
    for _ in range(2):
        with pytest.raises(LookupError):
            cached.of("north")


def test_the_number_of_keys_is_limited() -> None:
    cached = TimedCache(str, seconds=60, keys_max=3)
    for number in range(10):
        cached.of(number)
    assert len(cached._kept) <= 3


def test_clear_all_clears_every_cache() -> None:
    tables = [Table(), Table()]
    cached = [TimedCache(table.read, seconds=60) for table in tables]
    for _ in range(2):
        for each in cached:
            each.of("north")
        timed_cache.clear_all()
    assert [table.reads for table in tables] == [2, 2]

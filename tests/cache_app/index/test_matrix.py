"""The in-process vector index: search, synchronization with Redis, and eviction."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from redis import Redis

from cache_app.index import matrix, projection, rows
from cache_app.index.matrix import MatrixIndex
from cache_app.store import clearing, entries
from cache_app.store.scripts import client, prefix
from tests.cache_app.store.making import DIMENSIONS, PARTITION, id_of, make_entry, new_organization, now_ms, vector_of
from tests.support.processes import wait_until

MUCH = 100_000_000
Put = Callable[..., None]


@pytest.fixture
def index() -> MatrixIndex:
    """An empty index."""
    return MatrixIndex(MUCH)


@pytest.fixture
def put(org: int) -> Put:
    """Stores entries with these numbers and their vectors; keyword arguments are fields."""

    def store(*numbers: int, **fields: object) -> None:
        for number in numbers:
            entries.put(make_entry(org, number, **fields), vector=vector_of(number))

    return store


def found(index: MatrixIndex, org: int, number: int, partition: str = PARTITION) -> bool:
    """Whether a search for the entry's own vector returns it."""
    nearest = index.nearest(org, partition, vector_of(number), 1)
    return bool(nearest) and nearest[0].entry_id == id_of(number) and nearest[0].similarity > 0.999


def test_nearest_entries_are_sorted_by_cosine(index: MatrixIndex, org: int, put: Put) -> None:
    put(*range(1, 30))
    asked = vector_of(7) + 0.5 * vector_of(9)
    asked /= np.linalg.norm(asked)
    first, second, third = index.nearest(org, PARTITION, asked, 3)
    assert (first.entry_id, second.entry_id) == (id_of(7), id_of(9))
    assert first.similarity == pytest.approx(float(asked @ vector_of(7)), abs=0.002)
    assert second.similarity == pytest.approx(float(asked @ vector_of(9)), abs=0.002)
    assert third.similarity <= second.similarity


def test_a_later_write_is_found_by_the_next_lookup(index: MatrixIndex, org: int, put: Put) -> None:
    assert index.nearest(org, PARTITION, vector_of(1)) == []
    for number in range(1, 20):
        put(number)
        assert found(index, org, number)


def test_a_later_vector_is_found(index: MatrixIndex, org: int) -> None:
    entries.put(make_entry(org), vector=None)
    assert index.nearest(org, PARTITION, vector_of(1)) == []
    entries.add_vector(org, id_of(1), vector_of(1))
    assert found(index, org, 1)


def test_a_removed_entry_is_not_found(index: MatrixIndex, org: int, put: Put) -> None:
    put(1, 2)
    put(3, tags=("x",))
    put(4, expires_ms=now_ms() + 150)
    assert all(found(index, org, number) for number in (1, 2, 3))
    clearing.delete(org, id_of(1))
    clearing.clear_tags(org, ["x"])
    wait_until(lambda: not found(index, org, 4), "the fourth entry to expire")
    assert [found(index, org, number) for number in (1, 2, 3)] == [False, True, False]
    clearing.clear_all(org)
    assert index.nearest(org, PARTITION, vector_of(2)) == []


def test_a_replaced_vector_is_not_found(index: MatrixIndex, org: int, put: Put) -> None:
    put(1, 2)
    assert found(index, org, 1)
    entries.put(make_entry(org, 1), vector=vector_of(50))
    (nearest,) = index.nearest(org, PARTITION, vector_of(50), 1)
    assert nearest.entry_id == id_of(1)
    assert not found(index, org, 1)


def test_partitions_and_organizations_are_isolated(index: MatrixIndex, org: int, put: Put) -> None:
    put(1)
    put(2, partition="b" * 32)
    assert found(index, org, 1)
    assert found(index, org, 2, "b" * 32)
    assert [near.entry_id for near in index.nearest(org, PARTITION, vector_of(2))] == [id_of(1)]
    assert index.nearest(new_organization(), PARTITION, vector_of(1)) == []


def test_vectors_of_a_different_length_are_ignored(index: MatrixIndex, org: int, put: Put) -> None:
    put(1)
    assert found(index, org, 1)
    assert index.nearest(org, PARTITION, vector_of(1, 2 * DIMENSIONS)) == []


def test_a_trimmed_stream_reloads_the_partition(index: MatrixIndex, org: int, put: Put) -> None:
    put(1, 2)
    assert found(index, org, 1)
    put(3)
    clearing.delete(org, id_of(2))
    client().xtrim(prefix(org) + "log", maxlen=0)
    assert found(index, org, 3)
    assert not found(index, org, 2)
    put(4)
    assert found(index, org, 4)


def test_an_emptied_and_refilled_redis_is_detected(index: MatrixIndex, org: int, put: Put, redis_url: str) -> None:
    put(1, 2, 3)
    assert found(index, org, 1)
    Redis.from_url(redis_url).flushall()
    put(2, 4, 5)
    assert [found(index, org, number) for number in (1, 2, 3, 4, 5)] == [False, True, False, True, True]


def test_an_emptied_redis_with_an_equal_change_count_is_detected(index: MatrixIndex, org: int, put: Put) -> None:
    put(1, 2, 3)
    assert found(index, org, 1)
    client().delete(*client().keys(prefix(org) + "*"))
    put(4, 5, 6)
    client().xtrim(prefix(org) + "log", maxlen=0)
    assert [found(index, org, number) for number in (1, 3, 4, 6)] == [False, False, True, True]


def test_many_changes_are_read_completely(
    index: MatrixIndex, org: int, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cache_app.index.sync.RECORDS", 7)
    put(1)
    assert found(index, org, 1)
    put(*range(2, 40))
    assert all(found(index, org, number) for number in range(1, 40))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treats partitions of more than three rows as large."""
    monkeypatch.setattr(matrix, "SMALL", 3)
    monkeypatch.setattr(matrix, "WAIT_S", 0.0)
    monkeypatch.setattr("cache_app.index.sync.FIRST_PAGE", 2)
    monkeypatch.setattr("cache_app.index.sync.PAGE", 5)


@pytest.mark.usefixtures("small")
def test_a_large_partition_is_loaded_in_the_background(index: MatrixIndex, org: int, put: Put) -> None:
    put(*range(1, 600))
    index.nearest(org, PARTITION, vector_of(1))
    put(600)
    wait_until(lambda: all(found(index, org, number) for number in (1, 300, 599, 600)), "the partition")


@pytest.mark.usefixtures("small")
def test_a_large_partition_is_searchable_during_a_reload(index: MatrixIndex, org: int, put: Put) -> None:
    put(*range(1, 50))
    wait_until(lambda: found(index, org, 1), "the partition")
    put(50)
    client().xtrim(prefix(org) + "log", maxlen=0)
    assert found(index, org, 1), "the loaded rows were discarded"
    wait_until(lambda: found(index, org, 50), "the new rows")


@pytest.mark.usefixtures("small")
def test_removed_rows_are_compacted(index: MatrixIndex, org: int, put: Put) -> None:
    put(*range(1, 9))
    wait_until(lambda: found(index, org, 1), "the partition")
    for number in range(100, 900):
        put(1)
        if number % 50 == 0:
            assert index.nearest(org, PARTITION, vector_of(1))
    wait_until(lambda: found(index, org, 1) and index.nbytes < 200_000, "a compacted copy")
    assert all(found(index, org, number) for number in range(1, 9))


def test_the_least_recently_used_partition_is_evicted_and_reloaded(org: int, put: Put) -> None:
    index = MatrixIndex(3 * 4_000)
    names = [f"{number:032x}" for number in range(8)]
    for number, name in enumerate(names):
        put(number, partition=name)
        assert found(index, org, number, name)
    assert 0 < index.nbytes <= 3 * 4_000
    assert all(found(index, org, number, name) for number, name in enumerate(names))


def test_many_rows_are_searched_in_two_steps_with_the_same_result(
    index: MatrixIndex, org: int, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (projection, rows):
        monkeypatch.setattr(module, "MANY", 400)
    monkeypatch.setattr(projection, "DIMENSIONS", 16)
    put(*range(1, 700))
    assert found(index, org, 1)
    assert all(found(index, org, number) for number in range(1, 700, 13))
    put(*range(700, 1200))
    wait_until(lambda: all(found(index, org, number) for number in range(1, 1200, 37)), "new directions")
    clearing.delete(org, id_of(38))
    assert not found(index, org, 38)


def test_threads_search_while_others_write(index: MatrixIndex, org: int, put: Put) -> None:
    put(*range(1, 101))

    def write(first: int) -> bool:
        for number in range(first, first + 60):
            put(number)
            if number % 9 == 0:
                clearing.delete(org, id_of(number))
        return True

    def look(number: int) -> bool:
        return found(index, org, number)

    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(write, first) for first in (1_000, 2_000)]
        lookers = [pool.submit(look, number) for number in [*range(1, 101)] * 6]
        assert all(future.result() for future in [*writers, *lookers])
    assert [found(index, org, number) for number in (1_001, 2_059, 1_008, 2_007)] == [True, True, False, False]

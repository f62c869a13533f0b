"""Corrupt data in Redis causes a miss or a Redis error, which a lookup treats as a miss. It never returns another
organization's entry and never raises any other error."""

from collections.abc import Callable

import numpy as np
import pytest
from redis import RedisError

from cache_app.index.matrix import MatrixIndex
from cache_app.store import entries, l1
from cache_app.store.scripts import client, prefix
from tests.cache_app.store.making import DIMENSIONS, PARTITION, id_of, make_entry, new_organization, vector_of

Corrupt = Callable[[str], object]
LATER = "9999999999999999-0"
DATED = b"\xff" * 8


def record(**fields: object) -> Corrupt:
    return lambda start: client().xadd(start + "log", fields, id=LATER)


def vectors(value: bytes) -> Corrupt:
    return lambda start: client().hset(f"{start}v:{PARTITION}", id_of(1), value)


def another_type(name: str) -> Corrupt:
    def corrupt(start: str) -> None:
        client().delete(start + name)
        client().set(start + name, "x")

    return corrupt


CORRUPTIONS: dict[str, Corrupt] = {
    "a record without a number": record(what="ever"),
    "a record whose number is none": record(n="x", added=f"{PARTITION}:{id_of(1)}", vector="x"),
    "a record of nothing": record(n=2),
    "a record of no place": record(n=2, gone="nowhere"),
    "a record that is no text": record(n=2, gone=b"\xff\xfe"),
    "a record with a short vector": record(n=2, added=f"{PARTITION}:{id_of(1)}", vector=b"short"),
    "an empty vector": vectors(b""),
    "a vector of another length": vectors(DATED + b"\x00" * 10),
    "a vector of nothing but NaN": vectors(DATED + np.full(DIMENSIONS, np.nan, np.float16).tobytes()),
    "a vector that is too long by far": vectors(DATED + np.full(DIMENSIONS, 60_000, np.float16).tobytes()),
    "a place that is no place": lambda start: client().hset(start + "places", id_of(1), b"\xc1\xc1"),
    "a place of another kind": lambda start: client().hset(start + "places", id_of(1), b"\x01"),
    "a state that counts in words": lambda start: client().hset(start + "state", "logged", "many"),
    "a state that counts more than there is": lambda start: client().hset(start + "state", "logged", 10**6),
    "a state that counts nothing": lambda start: client().hset(start + "state", "logged", -3),
    "a clock that tells no time": lambda start: client().hset(start + "state", "clock", "noon"),
    "an epoch that is no time": lambda start: client().hset(start + "state", "epoch:*", "noon"),
    "a state that is no hash": another_type("state"),
    "a log that is no stream": another_type("log"),
    "vectors that are no hash": another_type(f"v:{PARTITION}"),
    "places that are no hash": another_type("places"),
    "an entry that is no hash": another_type(f"e:{id_of(1)}"),
}


@pytest.fixture
def other_org_id(redis_url: str) -> int:
    """Another organization with an entry that has the same ID, partition, and vector."""
    other = new_organization()
    entries.put(make_entry(other, response={"role": "assistant", "content": "theirs"}), vector=vector_of(1))
    return other


def nearest_ids(index: MatrixIndex, organization_id: int) -> list[str]:
    return [near.entry_id for near in index.nearest(organization_id, PARTITION, vector_of(1))]


def answers(organization_id: int, entry_ids: list[str]) -> list[str]:
    found = entries.fetch_valid(organization_id, PARTITION, entry_ids)
    return [entry.response["content"] for entry in found.values()]


def unless_error(read: Callable[[], list[str]]) -> list[str] | None:
    """What was read, or None after a Redis error."""
    try:
        return read()
    except RedisError:
        return None


@pytest.mark.parametrize("is_loaded", [True, False])
@pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_corrupt_data_causes_a_miss(org: int, other_org_id: int, corrupt: Corrupt, *, is_loaded: bool) -> None:
    index = MatrixIndex(100_000_000)
    entries.put(make_entry(org), vector=vector_of(1))
    if is_loaded:
        assert index.nearest(org, PARTITION, vector_of(1))
    corrupt(prefix(org))
    for _ in range(3):  # the first lookup may repair or reload something
        assert unless_error(lambda: nearest_ids(index, org)) in (None, [], [id_of(1)])
        assert unless_error(lambda: answers(org, [id_of(1)])) in (None, ["Answer 1"])
    l1.clear()
    assert answers(other_org_id, nearest_ids(index, other_org_id)) == ["theirs"]


@pytest.mark.parametrize("name", ["a record without a number", "a log that is no stream"])
def test_a_corrupt_stream_is_recreated_by_the_next_change(org: int, name: str) -> None:
    index = MatrixIndex(100_000_000)
    entries.put(make_entry(org), vector=vector_of(1))
    index.nearest(org, PARTITION, vector_of(1))
    CORRUPTIONS[name](prefix(org))
    entries.put(make_entry(org, 2), vector=vector_of(2))
    for number in (1, 2):
        assert index.nearest(org, PARTITION, vector_of(number), 1)[0].entry_id == id_of(number)

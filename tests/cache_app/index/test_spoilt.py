"""What stands in Redis was spoilt: a miss, or Redis's own error, which a look-up takes for a miss. Never another one's
entry, and never anything that a look-up does not expect."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from redis import RedisError

from cache_app.index.matrix import MatrixIndex
from cache_app.store import entries, l1
from cache_app.store.scripts import client, prefix
from tests.cache_app.store.making import DIMENSIONS, PARTITION, id_of, make_entry, new_organization, vector_of

Spoil = Callable[[str], object]
LATER = "9999999999999999-0"
DATED = b"\xff" * 8


def record(**fields: object) -> Spoil:
    return lambda start: client().xadd(start + "log", fields, id=LATER)


def vectors(value: bytes) -> Spoil:
    return lambda start: client().hset(f"{start}v:{PARTITION}", id_of(1), value)


def another_type(name: str) -> Spoil:
    def spoil(start: str) -> None:
        client().delete(start + name)
        client().set(start + name, "x")

    return spoil


SPOILT: dict[str, Spoil] = {
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
def theirs(redis_url: str) -> int:
    """Another organization that has an entry with the same id, partition and vector."""
    other = new_organization()
    entries.put(make_entry(other, response={"role": "assistant", "content": "theirs"}), vector=vector_of(1))
    return other


@pytest.mark.parametrize("is_loaded", [True, False])
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_corrupt_data_causes_a_miss(org: int, theirs: int, spoil: Spoil, *, is_loaded: bool) -> None:
    index = MatrixIndex(100_000_000)
    entries.put(make_entry(org), vector=vector_of(1))
    if is_loaded:
        assert index.nearest(org, PARTITION, vector_of(1))
    spoil(prefix(org))
    for _ in range(3):
        with suppress(RedisError):
            names = [near.entry_id for near in index.nearest(org, PARTITION, vector_of(1))]
            found = entries.fetch_valid(org, PARTITION, [*names, id_of(1)])
            assert all(entry.organization_id == org for entry in found.values())
            assert all(entry.response["content"] == "Answer 1" for entry in found.values())
    l1.clear()
    assert entries.fetch_valid(theirs, PARTITION, [id_of(1)])[id_of(1)].response["content"] == "theirs"
    assert index.nearest(theirs, PARTITION, vector_of(1))


@pytest.mark.parametrize("name", ["a record without a number", "a log that is no stream"])
def test_a_corrupt_stream_is_recreated_by_the_next_change(org: int, name: str) -> None:
    index = MatrixIndex(100_000_000)
    entries.put(make_entry(org), vector=vector_of(1))
    index.nearest(org, PARTITION, vector_of(1))
    SPOILT[name](prefix(org))
    entries.put(make_entry(org, 2), vector=vector_of(2))
    for number in (1, 2):
        assert index.nearest(org, PARTITION, vector_of(number), 1)[0].entry_id == id_of(number)

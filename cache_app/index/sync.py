"""Read vectors from Redis: changes since the last read, and whole partitions.

Records of the change stream are numbered without gaps. A reader that finds one missing (the stream was trimmed or lost,
Redis was emptied or restored to an older state) cannot catch up and starts over.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from redis import DataError

from cache_app.index.rows import VectorPage
from cache_app.store.scripts import client, prefix

RECORDS = 1_000
PAGE = 2_000
"""Rows per reply: about 1.6 MB."""
FIRST_PAGE = 500
TOLERANCE = 0.01
"""A vector's length may differ from one by this much; half precision costs less than 0.001."""

Record = tuple[bytes, dict[bytes, bytes]]
"""A stream ID and its fields."""


@dataclass(frozen=True)
class Cursor:
    """How far an organization's changes have been read. `incarnation` changes when Redis has lost its state."""

    incarnation: bytes | None
    number: int
    after: bytes


@dataclass(frozen=True)
class Change:
    """An added vector (with its expiry, as stored in Redis), or None for one that is gone."""

    number: int
    partition: str
    entry_id: str
    dated: bytes | None


@dataclass(frozen=True)
class ChangeBatch:
    """The result of one read: changes to apply unless `broken`, and where to continue; `more` if that was not all.

    `rows` is the size of the requested partition; `page` is its first page and `scan` where that ends, 0 if it is the
    only one.
    """

    now_ms: int
    cursor: Cursor
    broken: bool
    more: bool
    changes: list[Change]
    rows: int = 0
    scan: int = 0
    page: Mapping[bytes, bytes] = field(default_factory=dict)


def read_tail(organization_id: int) -> Cursor:
    """Where the changes end now. Raises RedisError."""
    return _tail(client().hmget(prefix(organization_id) + "state", "incarnation", "logged", "clock"))


def read_changes(organization_id: int, cursor: Cursor, partition: str | None = None) -> ChangeBatch:
    """All changes since the cursor, and the first page of a partition, in one round trip. Raises RedisError."""
    start = prefix(organization_id)
    with client().pipeline(transaction=False) as pipeline:
        pipeline.time()
        pipeline.hmget(start + "state", "incarnation", "logged", "clock")
        pipeline.xrange(start + "log", min=b"(" + cursor.after, count=RECORDS)
        if partition is not None:
            pipeline.hlen(f"{start}v:{partition}")
            pipeline.hscan(f"{start}v:{partition}", count=FIRST_PAGE)
        (seconds, microseconds), state, records, *loaded = pipeline.execute()
    batch = _change_batch(cursor, _tail(state), records)
    rows, (scan, page) = loaded or (0, (0, {}))
    now_ms = seconds * 1000 + microseconds // 1000
    return ChangeBatch(now_ms, *batch, rows=rows, scan=int(scan), page=page)


def read_size(organization_id: int, partition: str) -> int:
    """Number of vectors in a partition. Raises RedisError."""
    return int(client().hlen(f"{prefix(organization_id)}v:{partition}"))


def read_pages(organization_id: int, partition: str, scan: int = 0) -> Iterator[dict[bytes, bytes]]:
    """A partition's vectors by ID, continuing a scan; a vector may come twice. Raises RedisError."""
    key = f"{prefix(organization_id)}v:{partition}"
    while True:
        scan, page = client().hscan(key, cursor=scan, count=PAGE)
        yield page
        if not int(scan):
            return


def parsed(page: Mapping[bytes, bytes], dimensions: int) -> VectorPage:
    """The rows of a page. Anything that is not a vector of length one is skipped."""
    kind = np.dtype([("expires", "<i8"), ("vector", "<f2", (dimensions,))])
    sized = {name: dated for name, dated in page.items() if len(dated) == kind.itemsize}
    rows = np.frombuffer(b"".join(sized.values()), kind)
    vectors = rows["vector"].astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        sound = np.abs(np.einsum("ij,ij->i", vectors, vectors) - 1) < 2 * TOLERANCE
    ids = [name.decode(errors="replace") for name, is_sound in zip(sized, sound, strict=True) if is_sound]
    return VectorPage(ids, vectors[sound], rows["expires"][sound])


def _tail(state: list[bytes | None]) -> Cursor:
    incarnation, logged, clock = state
    try:
        number = int(logged or 0)
    except ValueError as error:
        raise DataError("the number of changes is missing") from error
    return Cursor(incarnation, number, (clock or b"0") + b"-0")


def _change_batch(cursor: Cursor, tail: Cursor, records: list[Record]) -> tuple[Cursor, bool, bool, list[Change]]:
    """(cursor, broken, more, changes) of ChangeBatch."""
    try:
        changes = list(_changes(fields for _, fields in records))
    except (KeyError, ValueError):
        return tail, True, False, []  # not written by us
    first, last = (changes[0].number, changes[-1].number) if changes else (None, cursor.number)
    is_other = cursor.incarnation not in (None, tail.incarnation)
    is_missing = cursor.number != (first - 1 if first else tail.number)
    if is_other or is_missing or tail.number < cursor.number:
        return tail, True, False, []
    if not records:
        return cursor, False, False, []
    return Cursor(tail.incarnation, last, records[-1][0]), False, len(records) == RECORDS, changes


def _changes(records: Iterable[dict[bytes, bytes]]) -> Iterator[Change]:
    for fields in records:
        for place in (fields.get(b"added") or fields[b"gone"]).decode().split():
            partition, entry_id = place.split(":")
            yield Change(int(fields[b"n"]), partition, entry_id, fields.get(b"vector"))

"""Browse the cache: pages of entries, and how many and how large they are.

Everything here raises RedisError.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from cache_app.store import l1
from cache_app.store.entries import Entry, fetch_valid
from cache_app.store.scripts import EVERYTHING, client, prefix, user_tag

SAMPLE = 20


@dataclass(frozen=True)
class EntryList:
    """Some entries, newest first, and where the next page starts ("" after the last one)."""

    entries: list[Entry]
    cursor: str


def page_of(organization_id: int, *, tag: str | None = None, cursor: str = "", count: int = 50) -> EntryList:
    """Entries, newest first; `cursor` is from the previous page. Raises ValueError for an invalid one."""
    below = f"({int(cursor)}" if cursor else "+inf"
    entries: list[Entry] = []
    rows = _rows(organization_id, tag, below, count)
    while rows:
        found = _as_they_are(organization_id, [name for name, _ in rows])
        for name, written in rows:
            if name in found:
                entries.append(found[name])
            if len(entries) == count:
                return EntryList(entries, written)
        rows = _rows(organization_id, tag, f"({rows[-1][1]}", count)
    return EntryList(entries, "")


def _rows(organization_id: int, tag: str | None, below: str, count: int) -> list[tuple[str, str]]:
    """IDs and write times, newest first; no two have the same time."""
    key = f"{prefix(organization_id)}t:{EVERYTHING if tag is None else user_tag(tag)}"
    rows = client().zrevrangebyscore(key, below, "-inf", start=0, num=count, withscores=True)
    return [(name.decode(), f"{written:.0f}") for name, written in rows]


def entry(organization_id: int, entry_id: str) -> Entry | None:
    """One entry. None if it may not be served, or no longer."""
    return _as_they_are(organization_id, [entry_id]).get(entry_id)


def _as_they_are(organization_id: int, ids: list[str]) -> dict[str, Entry]:
    """Bypasses this process's copies, whose hit counts may be outdated."""
    for name in ids:
        l1.drop(organization_id, name)
    return fetch_valid(organization_id, "", ids)


def count(organization_id: int) -> int:
    """Number of entries that have not expired."""
    redis = client()
    seconds, microseconds = redis.time()
    return int(redis.zcount(prefix(organization_id) + "exp", f"({seconds * 1000 + microseconds // 1000}", "+inf"))


def waiting_for_vectors(organization_id: int, count: int = 50) -> list[Entry]:
    """Some of the entries that still lack the vector by which similar questions find them."""
    ids = client().srandmember(prefix(organization_id) + "bare", count)
    return list(fetch_valid(organization_id, "", [name.decode() for name in ids]).values())


def is_any_waiting_for_vectors(organization_ids: Sequence[int]) -> bool:
    """Whether any of these organizations has such an entry."""
    with client().pipeline(transaction=False) as pipeline:
        for organization_id in organization_ids:
            pipeline.exists(prefix(organization_id) + "bare")
        return any(pipeline.execute())


def memory_bytes(organization_id: int) -> int:
    """Approximate Redis memory of the organization's entries, extrapolated from a sample."""
    start = prefix(organization_id)
    redis = client()
    total = int(redis.zcard(start + "exp"))
    with redis.pipeline(transaction=False) as pipeline:
        for name in ("exp", "lru", "places", "log", "state", f"t:{EVERYTHING}"):
            pipeline.memory_usage(start + name)
        shared = sum(size or 0 for size in pipeline.execute())
    return int(shared + total * _entry_bytes(organization_id))


def _entry_bytes(organization_id: int) -> float:
    """The mean of a sample: an entry's hash, and its vector with its name."""
    start = prefix(organization_id)
    names = [name.decode() for name in client().zrandmember(start + "exp", SAMPLE) or ()]
    entries = fetch_valid(organization_id, "", names)
    with client().pipeline(transaction=False) as pipeline:
        for name, found in entries.items():
            pipeline.memory_usage(f"{start}e:{name}")
            pipeline.hstrlen(f"{start}v:{found.partition}", name)
        sizes = [size or 0 for size in pipeline.execute()]
    return 2 * statistics.fmean(sizes) if sizes else 0.0

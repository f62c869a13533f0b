"""Cached answers in Redis: writing one, and reading those that may be served.

What may be served is decided by Redis at the moment of reading: the entry is there, has not expired by Redis's clock,
belongs to the partition that was asked for, and was not cleared since it was written. Whoever names its id, an index
or a copy in memory, is only believed so far. Everything here raises RedisError where Redis does not answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import uuid4

from django.conf import settings

from cache_app.embedding.base import Vector
from cache_app.store import l1, packing
from cache_app.store.entry import Entry
from cache_app.store.scripts import EVERYTHING, ORGANIZATIONS, Argument, client, model_tag, prefix, run, user_tag

__all__ = ["Entry", "add_vector", "block", "fetch_one", "fetch_valid", "pin", "put", "touch", "unpin"]

MAX_ENTRIES = 100_000
UNCHANGED = 1
"""The script's word for "your copy still holds"."""


def put(entry: Entry, *, vector: Vector | None, by_meaning: bool = True, max_entries: int = MAX_ENTRIES) -> None:
    """Store an entry in place of the one with its id, until `expires_ms`; a pin of the old one is kept.

    Beyond `max_entries` what was used least recently leaves. Without a vector an entry that is to be found `by_meaning`
    waits for `add_vector`.
    """
    tags = [EVERYTHING, model_tag(entry.provider, entry.model), *map(user_tag, entry.tags)]
    half, full = _packed(vector)
    place: list[Argument] = [uuid4().hex, entry.id, entry.partition, entry.expires_ms, half, full]
    limits: list[Argument] = [int(by_meaning), max_entries, len(tags), *tags]
    fields = [word for pair in packing.packed(entry).items() for word in pair]
    if not run("put", entry.organization_id, *place, *limits, *fields):
        _list(entry.organization_id)


def _packed(vector: Vector | None) -> tuple[bytes, bytes]:
    """As the matrices and as vector sets read it; the second is empty where no set is kept."""
    if vector is None:
        return b"", b""
    full = vector.astype("<f4").tobytes() if settings.CACHE_INDEX == "vector_set" else b""
    return vector.astype("<f2").tobytes(), full


def _list(organization_id: int) -> None:
    """Remembered only when it is done: who dies in between leaves it to the next."""
    client().sadd(ORGANIZATIONS, organization_id)
    client().hset(prefix(organization_id) + "state", "listed", 1)


def add_vector(organization_id: int, entry_id: str, vector: Vector) -> bool:
    """Give an entry the vector that it waits for; False if it waits no more."""
    return bool(run("add_vector", organization_id, entry_id, *_packed(vector)))


def fetch_valid(organization_id: int, partition: str, ids: Sequence[str]) -> dict[str, Entry]:
    """Those of the named entries that may be served in this partition now; one round trip."""
    if not ids:
        return {}
    copies = {name: l1.get(organization_id, name) for name in ids}
    replies = run("fetch", organization_id, partition, *_known(copies))
    entries: dict[str, Entry] = {}
    for name, reply in zip(copies, replies, strict=True):
        entry = copies[name] if reply == UNCHANGED else _fresh(organization_id, name, reply)
        if entry is not None:
            entries[name] = entry
    return entries


def fetch_one(organization_id: int, entry_id: str) -> Entry | None:
    """An entry of any partition, if it may be served now."""
    return fetch_valid(organization_id, "", [entry_id]).get(entry_id)


def touch(organization_id: int, entry_id: str) -> None:
    """Note that an entry was served; this never prolongs its life."""
    run("touch", organization_id, entry_id)


def block(organization_id: int, entry_id: str, question_id: str, bar: float) -> bool:
    """Never answer that question with this entry again, nor one less similar than `bar`; False if it is gone."""
    return bool(run("block", organization_id, entry_id, question_id, bar))


def pin(organization_id: int, entry_id: str) -> bool:
    """Keep an entry from eviction until it expires; False if it is gone."""
    return bool(run("pin", organization_id, entry_id, 1))


def unpin(organization_id: int, entry_id: str) -> bool:
    """Let an entry go when room is needed, counted from now as its last use; False if it is gone."""
    return bool(run("pin", organization_id, entry_id, 0))


def _known(copies: Mapping[str, Entry | None]) -> Iterable[Argument]:
    for name, copy in copies.items():
        yield name
        yield copy.stamp if copy else ""


def _fresh(organization_id: int, entry_id: str, reply: list[bytes] | None) -> Entry | None:
    """What Redis sent; broken is as good as missing."""
    entry = packing.unpacked(organization_id, entry_id, reply) if reply else None
    if entry is None:
        l1.drop(organization_id, entry_id)
    else:
        l1.keep(entry)
    return entry

"""Cached answers in Redis: write them, and read those that may be served.

Redis decides at read time what may be served: the entry exists, has not expired by Redis's clock, belongs to the
requested partition, and was not cleared since it was written. An ID from an index or an in-memory copy is only a hint.
Everything here raises RedisError if Redis does not respond.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import uuid4

from django.conf import settings

from aiinfra.redis import ScriptCall
from cache_app.embedding.base import Vector
from cache_app.store import l1, packing
from cache_app.store.entry import Entry
from cache_app.store.scripts import EVERYTHING, ORGANIZATIONS, Argument, call, client, model_tag, prefix, run, user_tag

__all__ = ["Entry", "add_vector", "block", "fetch_one", "fetch_valid", "pin", "put", "unpin"]

ENTRIES_MAX = 100_000
UNCHANGED = 1
"""The script's reply for "your copy is still valid"."""


def put(entry: Entry, *, vector: Vector | None, by_meaning: bool = True, max_entries: int = ENTRIES_MAX) -> None:
    """Store an entry, replacing the one with its ID, until `expires_ms`. A pin of the old one is kept.

    Above `max_entries` the least recently used entries are evicted. An entry that is to be found `by_meaning` but has
    no vector waits for `add_vector`.
    """
    tags = [EVERYTHING, model_tag(entry.provider, entry.model), *map(user_tag, entry.tags)]
    half, full = _packed(vector)
    place: list[Argument] = [uuid4().hex, entry.id, entry.partition, entry.expires_ms, half, full]
    limits: list[Argument] = [int(by_meaning), max_entries, len(tags), *tags]
    fields = [word for pair in packing.packed(entry).items() for word in pair]
    if not run("put", entry.organization_id, *place, *limits, *fields):
        _list(entry.organization_id)


def _packed(vector: Vector | None) -> tuple[bytes, bytes]:
    """In the formats of matrices and of vector sets; the second is empty if no set is maintained."""
    if vector is None:
        return b"", b""
    full = vector.astype("<f4").tobytes() if settings.CACHE_INDEX == "vector_set" else b""
    return vector.astype("<f2").tobytes(), full


def _list(organization_id: int) -> None:
    """Remembered only once it is done: if the process dies in between, the next one does it."""
    client().sadd(ORGANIZATIONS, organization_id)
    client().hset(prefix(organization_id) + "state", "listed", 1)


def add_vector(organization_id: int, entry_id: str, vector: Vector) -> bool:
    """Add the vector that an entry waits for. False if it no longer waits."""
    return bool(run("add_vector", organization_id, entry_id, *_packed(vector)))


def fetch_valid(organization_id: int, partition: str, ids: Sequence[str]) -> dict[str, Entry]:
    """The given entries that may be served in this partition now; one round trip."""
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


def touching(organization_id: int, entry_id: str) -> ScriptCall:
    """The script that records that an entry was served; this never extends its life."""
    return call("touch", organization_id, entry_id)


def block(organization_id: int, entry_id: str, question_id: str, bar: float) -> bool:
    """Never answer that question with this entry again, nor one less similar than `bar`. False if it is gone."""
    return bool(run("block", organization_id, entry_id, question_id, bar))


def pin(organization_id: int, entry_id: str) -> bool:
    """Protect an entry from eviction until it expires. False if it is gone."""
    return bool(run("pin", organization_id, entry_id, 1))


def unpin(organization_id: int, entry_id: str) -> bool:
    """Allow an entry to be evicted again; now counts as its last use. False if it is gone."""
    return bool(run("pin", organization_id, entry_id, 0))


def _known(copies: Mapping[str, Entry | None]) -> Iterable[Argument]:
    for name, copy in copies.items():
        yield name
        yield copy.stamp if copy else ""


def _fresh(organization_id: int, entry_id: str, reply: list[bytes] | None) -> Entry | None:
    """What Redis sent; a broken entry counts as missing."""
    entry = packing.unpacked(organization_id, entry_id, reply) if reply else None
    if entry is None:
        l1.drop(organization_id, entry_id)
    else:
        l1.keep(entry)
    return entry

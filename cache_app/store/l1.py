"""This process's copies of entries, which save the transfer and the unpacking.

A copy is served only after Redis has confirmed, in the same round trip that would have fetched the entry, that it may
be served and that its stamp matches. So no copy is served of an entry that any
process has cleared, deleted, blocked or replaced.
"""

import threading
import time
from collections import OrderedDict

from cache_app.store.entry import Entry

SIZE = 1_000
LIFE_S = 300

_copies: OrderedDict[tuple[int, str], tuple[float, Entry]] = OrderedDict()
_lock = threading.Lock()


def get(organization_id: int, entry_id: str) -> Entry | None:
    """The copy of an entry. Ask Redis whether it is still valid."""
    key = (organization_id, entry_id)
    with _lock:
        kept_at, entry = _copies.get(key, (0.0, None))
        if entry is None or time.monotonic() - kept_at > LIFE_S:
            _copies.pop(key, None)
            return None
        _copies.move_to_end(key)
        return entry


def keep(entry: Entry) -> None:
    """Keep what Redis has just sent. Above SIZE the least recently used copy is dropped."""
    key = (entry.organization_id, entry.id)
    with _lock:
        _copies[key] = (time.monotonic(), entry)
        _copies.move_to_end(key)
        if len(_copies) > SIZE:
            _copies.popitem(last=False)


def drop(organization_id: int, entry_id: str) -> None:
    """Drop a copy that is no longer valid."""
    with _lock:
        _copies.pop((organization_id, entry_id), None)


def clear() -> None:
    """Drop all copies."""
    with _lock:
        _copies.clear()

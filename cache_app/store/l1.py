"""Copies of entries in this process, which spare the transfer and the unpacking.

A copy is only served after Redis has said, in the same round trip that would have brought the entry, that it may be
served and that its stamp is still the copy's. So nothing that any process cleared, deleted, blocked or replaced comes
from here.
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
    """The copy of an entry, of which Redis must be asked whether it still holds."""
    key = (organization_id, entry_id)
    with _lock:
        kept_at, entry = _copies.get(key, (0.0, None))
        if entry is None or time.monotonic() - kept_at > LIFE_S:
            _copies.pop(key, None)
            return None
        _copies.move_to_end(key)
        return entry


def keep(entry: Entry) -> None:
    """Keep what Redis has just sent; beyond SIZE the least recently used copy leaves."""
    key = (entry.organization_id, entry.id)
    with _lock:
        _copies[key] = (time.monotonic(), entry)
        _copies.move_to_end(key)
        if len(_copies) > SIZE:
            _copies.popitem(last=False)


def drop(organization_id: int, entry_id: str) -> None:
    """Forget a copy that does not hold any more."""
    with _lock:
        _copies.pop((organization_id, entry_id), None)


def clear() -> None:
    """Forget all copies."""
    with _lock:
        _copies.clear()

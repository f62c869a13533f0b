"""Caches API keys for half a second, so that a busy client does not cost a query per call.

Short enough that every process refuses a revoked key within a second, without any messages between processes.
"""

import threading
import time

from aiinfra.tenants.authorization import Principal

TTL_S = 0.5
ENTRIES_MAX = 1000

_lock = threading.Lock()
_entries: dict[bytes, tuple[float, Principal]] = {}


def get(digest: bytes) -> Principal | None:
    """The owner of the credential with this SHA-256, if it was looked up within the last half second."""
    entry = _entries.get(digest)
    if entry is None or entry[0] < time.monotonic():
        return None
    return entry[1]


def put(digest: bytes, principal: Principal, asked_at: float) -> None:
    """Remember an owner, timed from when the lookup began (`time.monotonic`); a full cache is emptied first."""
    with _lock:
        if len(_entries) >= ENTRIES_MAX:
            _entries.clear()
        _entries[digest] = (asked_at + TTL_S, principal)


def clear() -> None:
    """Forget everything; for tests."""
    with _lock:
        _entries.clear()

"""Limits the CPU time of password checks: a hash takes a third of a second by design."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiinfra.tenants.login.attempts import TooManyAttemptsError

CONCURRENT_MAX = 2
"""Per process."""
TIMEOUT_S = 10.0

_slots = threading.BoundedSemaphore(CONCURRENT_MAX)


@contextmanager
def one_hash() -> Iterator[None]:
    """Wait for a slot to hash a password. Raises TooManyAttemptsError if none is free within 10 s."""
    if not _slots.acquire(timeout=TIMEOUT_S):
        raise TooManyAttemptsError(1)
    try:
        yield
    finally:
        _slots.release()

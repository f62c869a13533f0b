"""Bounds the CPU that password checks can take: a hash costs a third of a second on purpose."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiinfra.tenants.login.attempts import TooManyAttemptsError

AT_ONCE = 2
"""Per process."""
PATIENCE_S = 10.0

_places = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def one_hash() -> Iterator[None]:
    """Wait for a place to hash a password in. Raises TooManyAttemptsError if none is free within 10 s."""
    if not _places.acquire(timeout=PATIENCE_S):
        raise TooManyAttemptsError(1)
    try:
        yield
    finally:
        _places.release()

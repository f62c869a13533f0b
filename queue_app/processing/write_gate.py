"""Turns at the bookkeeping around a provider call.

Python runs one thread of a process at a time. Twenty that book at once each take as long as all of them together; in
turns the first are off to their next call while the others still wait. This is a courtesy, not a lock: while the
database or Redis hangs nobody waits longer than `PATIENCE_S`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 2
"""While one thread waits for the database another one computes; measured best with `benchmarks/queue.py`."""
PATIENCE_S = 0.25

_turns = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn() -> Iterator[None]:
    """Do the block's bookkeeping when it is this thread's turn, or after `PATIENCE_S`."""
    taken = _turns.acquire(timeout=PATIENCE_S)
    try:
        yield
    finally:
        if taken:
            _turns.release()

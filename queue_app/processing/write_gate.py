"""Serializes the bookkeeping around provider calls.

Python runs one thread of a process at a time. If twenty threads book at once, each takes as long as all of them
together; one after another, the first ones start their next call while the others wait. This is a courtesy, not a lock:
if the database or Redis hangs, no one waits longer than `PATIENCE_S`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 2
"""One thread computes while another waits for the database: the best value in `benchmarks/queue.py`."""
PATIENCE_S = 0.25

_turns = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def slot() -> Iterator[None]:
    """Run the block when it is this thread's turn, or after `PATIENCE_S`."""
    taken = _turns.acquire(timeout=PATIENCE_S)
    try:
        yield
    finally:
        if taken:
            _turns.release()

"""The threads that run Django."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

from waitress.task import ThreadedTaskDispatcher

from aiinfra.gateway.waiting_threads import release_connections

SPARE = 4
"""Extra threads kept after a wait ends, for the next one: to end a thread, waitress wakes all idle ones."""


class Threads(ThreadedTaskDispatcher):
    """A fixed number of threads for requests, plus one for each thread that waits on behalf of a client."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self._resize = threading.Lock()
        self._backed_up_since: float | None = None
        self.set_thread_count(count)

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """While the calling thread waits in this block, another one takes its place."""
        self._change_by(1)
        try:
            yield
        finally:
            self._change_by(-1)

    def handler_thread(self, thread_no: int) -> None:
        """Respond to requests until there are too many threads."""
        try:
            super().handler_thread(thread_no)
        finally:
            release_connections()

    def is_backed_up(self, at_most_s: float = inf) -> bool:
        """Whether a request waits for a thread, and that has not been so for longer than the maximum."""
        if not self.queue:
            self._backed_up_since = None
            return False
        if self._backed_up_since is None:
            self._backed_up_since = time.monotonic()
        return time.monotonic() - self._backed_up_since < at_most_s

    def _change_by(self, difference: int) -> None:
        with self._resize:
            self._count += difference
            with self.lock:
                running = len(self.threads) - self.stop_count
            if not self._count <= running <= self._count + SPARE:
                self.set_thread_count(min(max(running, self._count), self._count + SPARE))

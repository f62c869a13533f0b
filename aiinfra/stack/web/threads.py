"""The threads that run Django."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from waitress.task import ThreadedTaskDispatcher


class Threads(ThreadedTaskDispatcher):
    """A fixed number of threads for requests, plus one for each thread that waits on behalf of a client."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count
        self._resize = threading.Lock()
        self.set_thread_count(count)

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """While the calling thread waits in this block, another one takes its place."""
        self._change_by(1)
        try:
            yield
        finally:
            self._change_by(-1)

    def is_backed_up(self) -> bool:
        """Whether a request waits for a thread."""
        return bool(self.queue)

    def _change_by(self, difference: int) -> None:
        with self._resize:
            self._count += difference
            self.set_thread_count(self._count)

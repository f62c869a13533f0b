"""One query per second for all requests of a process that clients wait for, in case an event gets lost."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from aiinfra.failures import DATABASE_AWAY
from aiinfra.gateway.feed import Listener
from aiinfra.gateway.waiting_threads import release_connections
from queue_app.facade import ended_among

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


class EndedRows:
    """The requests that clients wait for, and the thread that polls them while there are any."""

    def __init__(self) -> None:
        self._listeners: dict[Listener, UUID] = {}
        self._lock = threading.Lock()
        self._poller: threading.Thread | None = None

    @contextmanager
    def watched(self, request_id: UUID, listener: Listener) -> Iterator[None]:
        """In this block, the listener learns that it missed something once the request's row has ended."""
        with self._lock:
            self._listeners[listener] = request_id
            if self._poller is None:
                self._poller = threading.Thread(target=self._poll, name="ended-rows", daemon=True)
                self._poller.start()
        try:
            yield
        finally:
            with self._lock:
                del self._listeners[listener]

    def _poll(self) -> None:
        while self._is_needed():
            time.sleep(LOOK_EVERY_S)
            try:
                self._look()
            except DATABASE_AWAY:
                logger.info("cannot look for ended requests while the database is unreachable")
            finally:
                release_connections()

    def _is_needed(self) -> bool:
        """Decided under the lock, so that a new listener either finds a poller that keeps running or starts one."""
        with self._lock:
            if not self._listeners:
                self._poller = None
            return bool(self._listeners)

    def _look(self) -> None:
        with self._lock:
            watched = dict(self._listeners)
        ended = ended_among(watched.values())
        for listener, request_id in watched.items():
            if request_id in ended:
                listener.miss()


ended_rows = EndedRows()
"""This process's poller."""

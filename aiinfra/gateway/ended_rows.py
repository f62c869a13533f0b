"""Polls the requests that clients wait for, once per second and process, in case an event gets lost.

It also notices when the database stores nothing, because clients should not wait for an answer that can't be stored.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings

from aiinfra import full_disk
from aiinfra.failures import DATABASE_AWAY
from aiinfra.gateway.feed import Listener
from aiinfra.gateway.waiting_threads import release_connections
from queue_app.facade import ended_among

logger = logging.getLogger(__name__)

POLL_EVERY_S = 1.0


class EndedRows:
    """The requests that clients wait for, and the thread that polls them while there are any."""

    def __init__(self) -> None:
        self._listeners: dict[Listener, UUID] = {}
        self._lock = threading.Lock()
        self._poller: threading.Thread | None = None
        self._refusals: tuple[float, float] | None = None

    def is_nothing_stored(self) -> bool:
        """Whether the database has been unavailable or read-only for a full lease duration."""
        refusals = self._refusals
        return refusals is not None and refusals[1] - refusals[0] >= settings.QUEUE_LEASE_S

    @contextmanager
    def watched(self, request_id: UUID, listener: Listener) -> Iterator[None]:
        """While the block runs, mark the listener as having missed events once the request's row has ended."""
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
            time.sleep(POLL_EVERY_S)
            try:
                self._note(self._poll_once())
            except Exception:
                # All waiting clients of this process depend on this thread.
                logger.exception("could not poll ended requests")
            finally:
                release_connections()

    def _poll_once(self) -> float | None:
        try:
            self._query_rows()
            return full_disk.refused_s_ago()
        except DATABASE_AWAY:
            logger.info("cannot poll ended requests while the database is unreachable")
            return 0.0

    def _note(self, refused_s_ago: float | None) -> None:
        """Record the first and last time of the current database outage."""
        if refused_s_ago is None:
            self._refusals = None
            return
        last = time.monotonic() - refused_s_ago
        self._refusals = (self._refusals[0] if self._refusals else last), last

    def _is_needed(self) -> bool:
        """Checked under the lock, so that a new listener either finds a running poller or starts one."""
        with self._lock:
            if not self._listeners:
                self._poller = self._refusals = None
            return bool(self._listeners)

    def _query_rows(self) -> None:
        with self._lock:
            watched = dict(self._listeners)
        ended = ended_among(watched.values())
        for listener, request_id in watched.items():
            if request_id in ended:
                listener.miss()


ended_rows = EndedRows()
"""This process's poller."""

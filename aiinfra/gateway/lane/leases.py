"""Renews the leases of the calls that this web process makes."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from aiinfra.gateway.waiting_threads import release_connections
from queue_app.facade import renew_leases

logger = logging.getLogger(__name__)

BEAT_S = 2.0


class Leases:
    """Renews the leases in a thread, while there are any."""

    def __init__(self) -> None:
        self._calls = 0
        self._lock = threading.Lock()
        self._renewer: threading.Thread | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew this process's leases while the block runs."""
        with self._lock:
            self._calls += 1
            if self._renewer is None:
                self._renewer = threading.Thread(target=self._renew, name="leases", daemon=True)
                self._renewer.start()
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1

    def _renew(self) -> None:
        while self._is_needed():
            time.sleep(min(BEAT_S, settings.QUEUE_LEASE_S / 3))
            try:
                renew_leases()
            except Exception:
                # All direct calls of this process depend on this thread.
                logger.exception("leases not renewed")
            finally:
                release_connections()

    def _is_needed(self) -> bool:
        """Checked under the lock, so that a new call either finds a running thread or starts one."""
        with self._lock:
            if not self._calls:
                self._renewer = None
            return bool(self._calls)


leases = Leases()
"""The leases of this process."""

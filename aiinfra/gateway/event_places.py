"""How many clients of live events a web process takes: each holds one of its threads for as long as it listens."""

import threading
from collections import Counter

from django.conf import settings

RETRY_AFTER_S = 5


class AllPlacesTakenError(Exception):
    """No place is left in this process."""


class ShareTakenError(Exception):
    """The organization has as many places as one may have, so that the others find some."""


class Places:
    """At most `total` at once, and three quarters of them, rounded up, for one organization."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._share = -(-3 * total // 4)
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take(self, organization_id: int) -> None:
        """Take a place, which `leave` gives back. Raises AllPlacesTakenError and ShareTakenError."""
        with self._lock:
            if self._taken.total() >= self._total:
                raise AllPlacesTakenError
            if self._taken[organization_id] >= self._share:
                raise ShareTakenError
            self._taken[organization_id] += 1

    def leave(self, organization_id: int) -> None:
        """Give a place back."""
        with self._lock:
            self._taken[organization_id] -= 1
            if not self._taken[organization_id]:
                del self._taken[organization_id]

    def taken(self) -> int:
        """How many places are in use."""
        with self._lock:
            return self._taken.total()


places = Places(settings.EVENT_CLIENTS_MAX)
"""Those of this process."""

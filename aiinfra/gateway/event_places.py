"""How many clients of live events a web process accepts: each holds one of its threads while it listens."""

import threading
from collections import Counter

from django.conf import settings

RETRY_AFTER_S = 5


class AllPlacesTakenError(Exception):
    """This process has no slot left."""


class ShareTakenError(Exception):
    """The organization already uses its share of the slots; the rest are for the others."""


class Places:
    """At most `total` slots, and three quarters of them, rounded up, per organization."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._share = -(-3 * total // 4)
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take(self, organization_id: int) -> None:
        """Take a slot, which `leave` returns. Raises AllPlacesTakenError and ShareTakenError."""
        with self._lock:
            if self._taken.total() >= self._total:
                raise AllPlacesTakenError
            if self._taken[organization_id] >= self._share:
                raise ShareTakenError
            self._taken[organization_id] += 1

    def leave(self, organization_id: int) -> None:
        """Return a slot."""
        with self._lock:
            self._taken[organization_id] -= 1
            if not self._taken[organization_id]:
                del self._taken[organization_id]

    def taken(self) -> int:
        """How many slots are in use."""
        with self._lock:
            return self._taken.total()


places = Places(settings.EVENT_CLIENTS_MAX)
"""The slots of this process."""

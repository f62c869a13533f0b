"""Limits how many clients of a web process may hold a connection open, for live events or for an answer."""

import threading
from collections import Counter

RETRY_AFTER_S = 5


class NoSlotError(Exception):
    """No slot is free."""


class AllSlotsTakenError(NoSlotError):
    """This process has no slot left."""


class OrganizationShareTakenError(NoSlotError):
    """The organization already uses its share of the slots; the rest are for the others."""


class ConnectionSlots:
    """At most `total` slots, and three quarters of them, rounded up, per organization."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._share = -(-3 * total // 4)
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take(self, organization_id: int) -> None:
        """Take a slot, which `leave` releases. Raises AllSlotsTakenError and OrganizationShareTakenError."""
        with self._lock:
            if self._taken.total() >= self._total:
                raise AllSlotsTakenError
            if self._taken[organization_id] >= self._share:
                raise OrganizationShareTakenError
            self._taken[organization_id] += 1

    def leave(self, organization_id: int) -> None:
        """Release a slot."""
        with self._lock:
            self._taken[organization_id] -= 1
            if not self._taken[organization_id]:
                del self._taken[organization_id]

    def taken(self) -> int:
        """How many slots are in use."""
        with self._lock:
            return self._taken.total()

"""Outages of the database, as the recovery of leases sees them.

While the database accepts no writes, no lease can be renewed, so an expired one does not mean a lost worker. After an
outage, workers get the time of a lease to renew theirs and to store what they have. The same applies after time has
jumped: leases expired at once when a clock was set, or while this machine was suspended with its workers.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings

from aiinfra import database_time, full_disk
from aiinfra.failures import DATABASE_AWAY


class Outage:
    """Remembers that the database was away or its disk full, until writes work again and no lease has expired."""

    def __init__(self) -> None:
        self._goes_on = False
        self._ended_at = -math.inf
        self._offset_s: float | None = None

    def suspect(self) -> None:
        """Assume that an outage has just ended: a process that has just started cannot know."""
        self._goes_on = True

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A full disk begins an outage, and so does a jump in time, or an error of an unavailable database, which is
        raised.
        """
        self._goes_on = self._goes_on or full_disk.is_full() or self._has_time_jumped()
        try:
            yield
        except DATABASE_AWAY:
            self._goes_on = True
            raise

    def forget(self) -> None:
        """Forget the outage: no lease has expired."""
        self._goes_on = full_disk.is_full()

    def is_over(self, write: Callable[[], object]) -> bool:
        """Whether there is no outage, and workers have had time to renew their leases since the last one.

        During an outage, `write` must write something to the database, and raise if that is impossible.
        """
        if self._goes_on:
            write()
            self._goes_on, self._ended_at = False, time.monotonic()
        return time.monotonic() - self._ended_at >= settings.QUEUE_LEASE_S

    def _has_time_jumped(self) -> bool:
        """Whether the database's clock, by which leases expire, has moved more than time has passed for this process.

        A monotonic clock stands still while its machine is suspended. The half of a lease is what an expired one was
        renewed too late by, at least: it is renewed in less than the other half.
        """
        before, self._offset_s = self._offset_s, database_time.now().timestamp() - time.monotonic()
        return before is not None and self._offset_s - before > settings.QUEUE_LEASE_S / 2

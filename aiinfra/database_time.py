"""The database's time, which all hosts share. Leases and due times use it.

A host with a wrong clock therefore doesn't steal work from other hosts. SQLite runs on one host and uses its clock.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from django.db import Error, connection
from django.utils import timezone

MEASURED_EVERY_S = 10.0
STEP_S = 0.5
"""If the clock's change differs from the elapsed time by more than this, it was set, or the machine was asleep."""


@dataclass(frozen=True)
class Measurement:
    """How far the database's clock is ahead of this host's. `wall` and `steady` are the time of the measurement."""

    ahead: timedelta
    wall: float
    steady: float

    def is_current(self) -> bool:
        """False if it is too old, or if this host's clock was set since."""
        passed = time.monotonic() - self.steady
        return passed < MEASURED_EVERY_S and abs(time.time() - self.wall - passed) < STEP_S


class _Clock:
    """Remembers the last measurement of this process."""

    def __init__(self) -> None:
        self._last: Measurement | None = None

    def ahead(self) -> timedelta:
        """The clock difference; the last known one while the database is unreachable."""
        if self._last is None or not self._last.is_current():
            try:
                self._last = measure()
            except Error:
                return self._last.ahead if self._last else timedelta()
        return self._last.ahead


_clock = _Clock()


def now() -> datetime:
    """The database's time, accurate to its round trip. Queries it at most every 10 s. Never raises."""
    return timezone.now() + _clock.ahead() if _is_shared() else timezone.now()


@cache
def _is_shared() -> bool:
    """Whether other hosts use the database."""
    return connection.vendor == "postgresql"


def measure() -> Measurement:
    """Measure against PostgreSQL. A difference within the round trip counts as 0. Raises django.db.Error."""
    connection.ensure_connection()
    asked = time.time()
    theirs = _read()
    round_trip_s = time.time() - asked
    ahead_s = theirs - asked - round_trip_s / 2
    if abs(ahead_s) <= round_trip_s / 2:
        ahead_s = 0.0
    return Measurement(timedelta(seconds=ahead_s), time.time(), time.monotonic())


def _read() -> float:
    """Bypasses Django's cursor, so that the statement isn't counted as part of a request."""
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        return float(cursor.fetchone()[0])

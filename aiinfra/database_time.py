"""The time of the database, which all hosts share: leases and due times are set and compared in it.

So a host with a wrong clock takes no work from other hosts. SQLite runs on one host, whose clock is used.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import Error, connection
from django.utils import timezone

MEASURED_EVERY_S = 10.0
STEP_S = 0.5
"""A clock that has moved by so much more or less than the time that has passed was set, or the machine was asleep."""


@dataclass(frozen=True)
class Measurement:
    """By how much the database's clock is ahead of this host's. `wall` and `steady` say when it was measured."""

    ahead: timedelta
    wall: float
    steady: float

    def is_current(self) -> bool:
        """False once it is old, or this host's clock has been set."""
        passed = time.monotonic() - self.steady
        return passed < MEASURED_EVERY_S and abs(time.time() - self.wall - passed) < STEP_S


class _Clock:
    """Remembers the last measurement of this process."""

    def __init__(self) -> None:
        self._last: Measurement | None = None

    def ahead(self) -> timedelta:
        """While the database cannot be asked, the last answer stands."""
        if self._last is None or not self._last.is_current():
            try:
                self._last = measure()
            except Error:
                return self._last.ahead if self._last else timedelta()
        return self._last.ahead


_clock = _Clock()


def now() -> datetime:
    """The database's time, to within its round trip. Asks the database every 10 s at most. Raises nothing."""
    return timezone.now() + _clock.ahead() if connection.vendor == "postgresql" else timezone.now()


def measure() -> Measurement:
    """Ask PostgreSQL. A difference that the round trip could explain counts as none. Raises django.db.Error."""
    connection.ensure_connection()
    asked = time.time()
    theirs = _read()
    round_trip_s = time.time() - asked
    ahead_s = theirs - asked - round_trip_s / 2
    if abs(ahead_s) <= round_trip_s / 2:
        ahead_s = 0.0
    return Measurement(timedelta(seconds=ahead_s), time.time(), time.monotonic())


def _read() -> float:
    """Past Django's cursor: the statement belongs to no request and is in no request's count."""
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        return float(cursor.fetchone()[0])

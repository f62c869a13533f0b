"""Weekly windows: the hours, in UTC, during which a price applies.

Stored as JSON: `[{"weekdays": [0, 1, 2, 3, 4], "from": "01:00", "to": "04:00"}]`. Weekdays are listed individually, 0
is Monday; `to` is exclusive, at most 24:00. Hours across midnight are two entries.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


class WindowError(ValueError):
    """The window is invalid."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of minutes, the same on some days of the week."""

    weekdays: frozenset[int]
    begin: int
    end: int

    def hold_at(self, moment: datetime) -> bool:
        """Whether the moment, in UTC, is within the span."""
        return moment.weekday() in self.weekdays and self.begin <= moment.hour * 60 + moment.minute < self.end


def parse_window(window: object) -> tuple[Hours, ...]:
    """Parse a stored window. Raises WindowError."""
    if not isinstance(window, list):
        raise WindowError("A window must be a list of hours.")
    return tuple(_hours(entry) for entry in window)


def holds_at(window: Sequence[Hours], instant: datetime) -> bool:
    """Whether the instant is in one of the window's hours."""
    moment = instant.astimezone(UTC)
    return any(hours.hold_at(moment) for hours in window)


def described(window: Sequence[dict[str, Any]]) -> str:
    """For people: "Mon to Fri 01:00-04:00 and 06:00-10:00 UTC"; "" for a price without a window."""
    hours_of: dict[str, list[str]] = {}
    for entry in window:
        hours_of.setdefault(_days_in_words(entry["weekdays"]), []).append(f"{entry['from']}-{entry['to']}")
    spans = [f"{days} {' and '.join(hours)}" for days, hours in hours_of.items()]
    return f"{', '.join(spans)} UTC" if spans else ""


def _days_in_words(weekdays: Sequence[int]) -> str:
    days = sorted(set(weekdays))
    if len(days) == len(WEEKDAYS):
        return "every day"
    if len(days) > 1 and days == list(range(days[0], days[-1] + 1)):
        return f"{WEEKDAYS[days[0]]} to {WEEKDAYS[days[-1]]}"
    return ", ".join(WEEKDAYS[day] for day in days)


def _hours(entry: object) -> Hours:
    if not isinstance(entry, dict) or set(entry) != {"weekdays", "from", "to"}:
        raise WindowError('Each entry needs "weekdays", "from", and "to".')
    weekdays, begin, end = entry["weekdays"], _minute(entry["from"]), _minute(entry["to"])
    if (
        not isinstance(weekdays, list)
        or not weekdays
        or not all(type(day) is int and 0 <= day <= 6 for day in weekdays)
    ):
        raise WindowError("Weekdays must be a list of numbers from 0 (Monday) to 6.")
    if begin >= end:
        raise WindowError("A window must end after it begins; split hours across midnight into two entries.")
    return Hours(frozenset(weekdays), begin, end)


def _minute(time: object) -> int:
    if not isinstance(time, str) or not TIME.fullmatch(time):
        raise WindowError("Times must be 00:00 to 24:00.")
    hour, minute = time.split(":")
    return int(hour) * 60 + int(minute)

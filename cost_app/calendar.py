"""Hours, days, weeks and months of an organization's own calendar.

Every instant lies in exactly one period of each kind: a period ends at the instant at which the next one begins. Days
have 23, 24 or 25 hours (or 23.5 and 24.5, on Lord Howe) where the clocks change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)


class Period(StrEnum):
    """A kind of period."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


def _bisect(low: datetime, high: datetime, is_after: Callable[[datetime], bool]) -> datetime:
    """The first whole second (UTC) that is after a change between `low` and `high`."""
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        low, high = (low, middle) if is_after(middle) else (middle, high)
    return high.replace(microsecond=0).astimezone(UTC)


@dataclass(frozen=True)
class Calendar:
    """An organization's time zone, and the day of the month (1 to 28) on which its months begin."""

    zone: ZoneInfo
    month_starts_on: int = 1

    def day_of(self, instant: datetime) -> date:
        """The local date of an instant."""
        return instant.astimezone(self.zone).date()

    def begin_of(self, day: date) -> datetime:
        """The instant (UTC) at which a local date begins.

        Where midnight is skipped, the first instant after the gap; where it comes twice, the first one.
        """
        midnight = datetime.combine(day, time(), self.zone).astimezone(UTC)
        # In a gap zoneinfo takes the offset from before it, which leads to the gap's end or beyond: search back.
        if midnight.astimezone(self.zone).date() == day and self.day_of(midnight - timedelta(microseconds=1)) < day:
            return midnight
        return self._first_instant(day, midnight)

    def _first_instant(self, day: date, near: datetime) -> datetime:
        """By bisection to the second; only for the handful of days whose midnight is in a gap or comes twice."""
        return _bisect(near - ONE_DAY, near + ONE_DAY, lambda middle: self.day_of(middle) >= day)

    def hour_of(self, instant: datetime) -> datetime:
        """The instant (UTC) at which the local clock's hour of this instant began, or at which the clock was changed to
        it: in zones whose clocks change by half an hour (Lord Howe), some hours of the clock have 30 minutes."""
        local = instant.astimezone(self.zone)
        since = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        begin = (instant - since).astimezone(UTC)
        offset = local.utcoffset()
        if begin.astimezone(self.zone).utcoffset() == offset:
            return begin
        return _bisect(begin, instant, lambda middle: middle.astimezone(self.zone).utcoffset() == offset)

    def first_day(self, period: Period, day: date) -> date:
        """The first date of the week (from Monday) or month that contains a date; for a day, the date itself."""
        match period:
            case Period.WEEKLY:
                return day - timedelta(days=day.weekday())
            case Period.MONTHLY:
                month = day if day.day >= self.month_starts_on else day.replace(day=1) - ONE_DAY
                return month.replace(day=self.month_starts_on)
            case _:
                return day

    def next_first_day(self, period: Period, first: date) -> date:
        """The first date of the period after the one that begins on `first`."""
        match period:
            case Period.WEEKLY:
                return first + timedelta(days=7)
            case Period.MONTHLY:
                return (first.replace(day=28) + timedelta(days=7)).replace(day=first.day)
            case _:
                return first + ONE_DAY

    def previous_first_day(self, period: Period, first: date) -> date:
        """The first date of the period before the one that begins on `first`."""
        return self.first_day(period, first - ONE_DAY)

    def bounds(self, period: Period, instant: datetime) -> tuple[datetime, datetime]:
        """Begin and end (UTC) of the daily, weekly or monthly period that an instant is in."""
        first = self.first_day(period, self.day_of(instant))
        return self.begin_of(first), self.begin_of(self.next_first_day(period, first))

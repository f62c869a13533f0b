"""Consecutive hours, days, weeks or months of the organization's calendar."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from cost_app.calendar import ONE_DAY, Calendar, Period


@dataclass(frozen=True)
class Span:
    """Periods without a gap, oldest first: `edges` are their starts and the end of the last one."""

    period: Period
    calendar: Calendar
    edges: Sequence[datetime]

    @property
    def first_day(self) -> date:
        """The local date on which it starts."""
        return self.calendar.day_of(self.edges[0])

    @property
    def end_day(self) -> date:
        """The first local date after it."""
        return self.calendar.day_of(self.edges[-1] - timedelta(microseconds=1)) + ONE_DAY

    @property
    def is_whole(self) -> bool:
        """Whether no week or month of it is cut short."""
        ends = (self.first_day, self.end_day)
        return all(self.calendar.first_day(self.period, day) == day for day in ends)


def last_periods(calendar: Calendar, period: Period, number: int, now: datetime) -> Span:
    """The last `number` periods up to the current one."""
    if period is Period.HOURLY:
        return hours_between(calendar, calendar.hour_of(now - timedelta(hours=number - 1)), now)
    firsts = [calendar.first_day(period, calendar.day_of(now))]
    for _ in range(number - 1):
        firsts.append(calendar.previous_first_day(period, firsts[-1]))
    return _days_span(calendar, period, [*firsts[::-1], calendar.next_first_day(period, firsts[0])])


def periods_between(calendar: Calendar, period: Period, first: date, last: date) -> Span:
    """The days, weeks or months that contain a day from `first` to `last`."""
    firsts = [calendar.first_day(period, first)]
    while (following := calendar.next_first_day(period, firsts[-1])) <= last:
        firsts.append(following)
    return _days_span(calendar, period, [*firsts, following])


def cut_between(calendar: Calendar, period: Period, first: date, last: date) -> Span:
    """The same, cut to `first` and `last`: the first and the last period may be shorter than the others."""
    whole = periods_between(calendar, period, first, last)
    inner = whole.edges[1:-1]
    return Span(period, calendar, [calendar.begin_of(first), *inner, calendar.begin_of(last + ONE_DAY)])


def span_before(span: Span) -> Span:
    """The same number of hours, days or months directly before, for a comparison."""
    calendar, number = span.calendar, len(span.edges) - 1
    if span.period is Period.HOURLY:
        return hours_between(calendar, span.edges[0] - timedelta(hours=number), span.edges[0] - timedelta(seconds=1))
    last = span.first_day - ONE_DAY
    if span.is_whole:
        return last_periods(calendar, span.period, number, calendar.begin_of(last))
    return cut_between(calendar, span.period, last - (span.end_day - span.first_day) + ONE_DAY, last)


def _days_span(calendar: Calendar, period: Period, days: Iterable[date]) -> Span:
    return Span(period, calendar, [calendar.begin_of(day) for day in days])


def hours_between(calendar: Calendar, first: datetime, last: datetime) -> Span:
    """Real hours of the local clock: 23 or 25 on days when the clocks change."""
    edges = [calendar.hour_of(first)]
    while edges[-1] <= last:
        edges.append(calendar.hour_of(edges[-1] + timedelta(hours=1)))
    return Span(Period.HOURLY, calendar, edges)

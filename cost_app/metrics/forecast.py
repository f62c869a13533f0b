"""What a period will have cost at its end, from the organization's own weekdays.

Each weekday is expected to cost its average of the last eight weeks, newer weeks counting more (a week counts 0.8 of
the next); the level of the last 14 days against that pattern moves all of them. How far such a forecast would have been
off on each of the past days, had that day not been learned from, is its error; the interval comes from drawing errors
for the days to come, 2,000 times with a fixed seed, and leaving out a tenth at either end. Today's rest is the part of
the day that is still to come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils import timezone

from cost_app.calendar import ONE_DAY, Calendar
from cost_app.models import Dimension, UsageDay

WEEKS = 8
DAYS_NEEDED, BUSY_DAYS_NEEDED = 14, 7
"""Days from the first call on, and days with a call, below which nothing is said: two of each weekday."""
NEWER_WEEK = 0.8
LEVEL_DAYS = 14
LEVEL_BOUNDS = (0.5, 2.0)
DRAWS, SEED = 2_000, 20250829
LOW, HIGH = 10, 90
"""Percentiles: an interval of 80 %."""


@dataclass(frozen=True)
class Forecast:
    """Nano-dollars at the end of the period: expected, and an interval of 80 %. `days`: how many were learned from."""

    nano: int
    low_nano: int
    high_nano: int
    days: int
    by_day: Sequence[tuple[date, int, int, int]]
    """(day, expected, low, high) of the sum from the period's beginning, for today and each day after it."""

    def runs_out_on(self, limit_nano: int) -> date | None:
        """The day on which a limit is expected to be reached; None if it is not within the period."""
        return next((day for day, expected, _, _ in self.by_day if expected >= limit_nano), None)


def forecast(
    organization_id: int, calendar: Calendar, first: date, end: date, now: datetime | None = None
) -> Forecast | None:
    """For the period from `first` to before `end`, in which today lies; None where there is too little to learn from.

    One query.
    """
    now = now or timezone.now()
    today = calendar.day_of(now)
    since = min(first, today - WEEKS * 7 * ONE_DAY)
    days = UsageDay.objects.filter(organization_id=organization_id, dimension=Dimension.TOTAL)
    spent = dict(days.filter(day__gte=since, day__lte=today).values_list("day", "nano"))
    past = _past(spent, today)
    if len(past) < DAYS_NEEDED or sum(nano > 0 for _, nano in past) < BUSY_DAYS_NEEDED:
        return None
    so_far = sum(nano for day, nano in spent.items() if first <= day < today)
    return _project(past, so_far, spent.get(today, 0), today, end, _rest_of_day(calendar, today, now))


def _past(spent: dict[date, int], today: date) -> list[tuple[date, int]]:
    """The whole days from the first call on, at most eight weeks, those without a call included."""
    begun = min((day for day, nano in spent.items() if nano and day < today), default=today)
    begin = max(begun, today - WEEKS * 7 * ONE_DAY)
    return [
        (begin + ONE_DAY * number, spent.get(begin + ONE_DAY * number, 0)) for number in range((today - begin).days)
    ]


def _rest_of_day(calendar: Calendar, today: date, now: datetime) -> float:
    begin, end = calendar.begin_of(today), calendar.begin_of(today + ONE_DAY)
    return max(0.0, (end - now) / (end - begin))


def _project(
    past: list[tuple[date, int]], so_far: int, spent_today: int, today: date, end: date, rest: float
) -> Forecast:
    import numpy as np

    pattern = _weekday_averages(past)
    level = _level(past, pattern)
    errors = np.array([(nano - level * pattern[day.weekday()]) / left_out for (day, nano), left_out in _left_out(past)])
    ahead = [today + ONE_DAY * number for number in range((end - today).days)]
    shares = np.array([rest, *[1.0] * (len(ahead) - 1)])
    expected = np.array([level * pattern[day.weekday()] for day in ahead])
    draws = np.random.default_rng(SEED).choice(errors, size=(DRAWS, len(ahead)))
    sums = np.cumsum(np.maximum(expected + draws, 0) * shares, axis=1)
    base = so_far + spent_today
    middle = base + np.cumsum(expected * shares)
    low, high = (base + np.percentile(sums, percent, axis=0) for percent in (LOW, HIGH))
    by_day = [
        (day, round(float(m)), round(float(min(lo, m))), round(float(max(hi, m))))
        for day, m, lo, hi in zip(ahead, middle, low, high, strict=True)
    ]
    _, nano, low_nano, high_nano = by_day[-1]
    return Forecast(nano, low_nano, high_nano, len(past), by_day)


def _weights(past: list[tuple[date, int]]) -> list[float]:
    last = past[-1][0]
    return [NEWER_WEEK ** ((last - day) // timedelta(days=7)) for day, _ in past]


def _weekday_averages(past: list[tuple[date, int]]) -> list[float]:
    """Seven of them, Monday first; newer weeks count more."""
    sums, weights = [0.0] * 7, _weekday_weights(past)
    for (day, nano), weight in zip(past, _weights(past), strict=True):
        sums[day.weekday()] += weight * nano
    return [total / weight if weight else 0.0 for total, weight in zip(sums, weights, strict=True)]


def _weekday_weights(past: list[tuple[date, int]]) -> list[float]:
    weights = [0.0] * 7
    for (day, _), weight in zip(past, _weights(past), strict=True):
        weights[day.weekday()] += weight
    return weights


def _left_out(past: list[tuple[date, int]]) -> list[tuple[tuple[date, int], float]]:
    """Each day with the share of its weekday's average that is not its own: its residual divided by that is how far the
    average of the other weeks is off (leave-one-out)."""
    totals = _weekday_weights(past)
    return [
        (each, max(0.25, 1 - weight / totals[each[0].weekday()]))
        for each, weight in zip(past, _weights(past), strict=True)
    ]


def _level(past: list[tuple[date, int]], pattern: list[float]) -> float:
    """How the last two weeks compare with the pattern, within bounds: one wild day is no new level."""
    recent = past[-LEVEL_DAYS:]
    usual = sum(pattern[day.weekday()] for day, _ in recent)
    low, high = LEVEL_BOUNDS
    return min(high, max(low, sum(nano for _, nano in recent) / usual)) if usual else 1.0

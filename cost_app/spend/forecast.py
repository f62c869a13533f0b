"""Forecasts the cost of a period: the median of 2,000 months drawn from the organization's own days.

Every step is based on medians, so that one extreme day moves neither the pattern nor the level:

- the pattern is the median of each weekday, relative to the others;
- the trend is the Theil-Sen slope of the logarithms without the pattern, shrunk toward none where it is no larger
  than its own error; the level is the median of the last three weeks on that trend;
- the error of a day is its deviation, in proportion to its expected cost.

A drawn month takes a level and a trend from within their errors, and for each day to come the error of a past day. The
past days are also redrawn for each month (a bootstrap of the bootstrap): how often rare days come is itself known from
only a few of them. If most days cost nothing there is no pattern, and the days themselves are drawn. The seed is fixed.
Expected is the median of the drawn sums, the interval leaves out a tenth at either end. Today's rest is the part of the
day that is still to come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from django.utils import timezone

from cost_app.calendar import ONE_DAY, Calendar
from cost_app.models import Dimension, UsageDay

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

WEEKS = 8
DAYS_NEEDED, BUSY_DAYS_NEEDED = 14, 7
"""Minimum days since the first call, and minimum days with a call, for a forecast: two of each weekday."""
RECENT_DAYS = 21
TREND_MAX = 0.02
"""Per day, as a logarithm: doubling in five weeks is the steepest trend accepted."""
TREND_GAP = 7
"""Minimum days between two that are compared for the trend: closer ones say more about their noise."""
BUSY = 0.5
"""Share of days with spend above which there is a pattern."""
SMALL = 0.2
"""Share of the average day: the minimum size of an error, however quiet the weekday."""
WIDER = 1.25
"""Errors of level and trend are wider than noise alone would make them: levels also drift. Calibrated on generated
months of six kinds (tests/cost_app/spend/test_forecast.py)."""
SPREAD_OF_MAD, ERROR_OF_MEDIAN = 1.4826, 1.2533
"""Standard deviation by median absolute deviation; standard error of a median by that of a mean. For normal noise."""
DRAWS, SEED = 2_000, 20250829
LOW, MIDDLE, HIGH = 10, 50, 90
"""Percentiles: an interval of 80%."""


@dataclass(frozen=True)
class Forecast:
    """Nano-dollars at the end of the period: expected, and an interval of 80%, based on `days` days."""

    nano: int
    low_nano: int
    high_nano: int
    days: int
    by_day: Sequence[tuple[date, int, int, int]]
    """(day, expected, low, high) of the sum since the beginning of the period, for today and each day after it."""

    def runs_out_on(self, limit_nano: int) -> date | None:
        """The day on which a limit is expected to be reached; None if that is not within the period."""
        return next((day for day, expected, _, _ in self.by_day if expected >= limit_nano), None)


def forecast(
    organization_id: int, calendar: Calendar, first: date, end: date, now: datetime | None = None
) -> Forecast | None:
    """For the period from `first` to before `end`, which includes today; None without enough history.

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
    return project(past, so_far + spent.get(today, 0), today, end, _rest_of_day(calendar, today, now))


def _past(spent: dict[date, int], today: date) -> list[tuple[date, int]]:
    """The whole days since the first call, at most eight weeks, including those without a call."""
    begun = min((day for day, nano in spent.items() if nano and day < today), default=today)
    begin = max(begun, today - WEEKS * 7 * ONE_DAY)
    return [
        (begin + ONE_DAY * number, spent.get(begin + ONE_DAY * number, 0)) for number in range((today - begin).days)
    ]


def _rest_of_day(calendar: Calendar, today: date, now: datetime) -> float:
    begin, end = calendar.begin_of(today), calendar.begin_of(today + ONE_DAY)
    return max(0.0, (end - now) / (end - begin))


def project(past: list[tuple[date, int]], base: int, today: date, end: date, rest: float) -> Forecast:
    """What is added to `base` from today, of which the share `rest` is still to come, to before `end`.

    `past` are whole days without a gap up to yesterday, in nano-dollars.
    """
    import numpy as np

    ahead = [today + ONE_DAY * number for number in range((end - today).days)]
    shares = np.array([rest, *[1.0] * (len(ahead) - 1)])
    sums = base + np.cumsum(_drawn_days(past, ahead) * shares, axis=1)
    low, middle, high = (np.percentile(sums, percent, axis=0) for percent in (LOW, MIDDLE, HIGH))
    by_day = [
        (day, round(float(mid)), round(float(lo)), round(float(hi)))
        for day, mid, lo, hi in zip(ahead, middle, low, high, strict=True)
    ]
    return Forecast(*by_day[-1][1:], len(past), by_day)


@dataclass(frozen=True)
class _Fit:
    """What a day costs apart from chance: level x exp(trend x days since yesterday) x the weekday's part."""

    weekdays: "Array"
    level: float = 0.0
    level_error: float = 0.0
    trend: float = 0.0
    trend_error: float = 0.0


def _drawn_days(past: list[tuple[date, int]], ahead: list[date]) -> "Array":
    """One row per drawn month, one column per day to come."""
    import numpy as np

    nano = np.array([spent for _, spent in past], float)
    weekday = np.array([day.weekday() for day, _ in past])
    ages = np.arange(len(past), dtype=float) - (len(past) - 1)
    fit = _fitted(nano, weekday, ages)
    errors = _errors(nano, fit.level * np.exp(fit.trend * ages) * fit.weekdays[weekday], weekday)
    chance = np.random.default_rng(SEED)
    steps = np.arange(1, len(ahead) + 1)
    off = fit.level_error * chance.standard_normal((DRAWS, 1))
    off = off + fit.trend_error * (steps + RECENT_DAYS / 2) * chance.standard_normal((DRAWS, 1))
    usual = fit.level * np.exp(np.clip(fit.trend * steps + off, -1.5, 1.5))
    usual = usual * fit.weekdays[[day.weekday() for day in ahead]]
    known = chance.choice(errors, size=(DRAWS, len(past)))
    drawn = np.take_along_axis(known, chance.integers(0, len(past), size=(DRAWS, len(ahead))), axis=1)
    return np.asarray(np.maximum(usual + drawn * (usual + SMALL * nano.mean()), 0.0))


def _fitted(nano: "Array", weekday: "Array", ages: "Array") -> _Fit:
    import numpy as np

    if (nano > 0).mean() <= BUSY:
        return _Fit(np.ones(7))
    weekdays = np.array([np.median(nano[weekday == number]) for number in range(7)])
    weekdays = weekdays / weekdays.mean() if weekdays.any() else np.ones(7)
    usable = (weekdays[weekday] > SMALL / 2) & (nano > 0)
    logs, ages = np.log(nano[usable] / weekdays[weekday[usable]]), ages[usable]
    recent = ages > -RECENT_DAYS
    if not recent.any():
        return _Fit(weekdays)
    slope = _slope(ages, logs)
    spread = SPREAD_OF_MAD * float(np.median(np.abs(logs - slope * ages - np.median(logs - slope * ages))))
    slope_error = WIDER * spread * (12 / len(nano) ** 3) ** 0.5
    noise = 0.4 * slope_error**2
    trend = min(TREND_MAX, max(-TREND_MAX, slope * slope**2 / (slope**2 + noise))) if slope else 0.0
    level = float(np.exp(np.median((logs - trend * ages)[recent])))
    return _Fit(weekdays, level, WIDER * ERROR_OF_MEDIAN * spread / recent.sum() ** 0.5, trend, slope_error)


def _slope(ages: "Array", logs: "Array") -> float:
    """Theil-Sen: the median of the slopes between all pairs of days that are far enough apart."""
    import numpy as np

    early, late = np.triu_indices(len(ages), 1)
    far = ages[late] - ages[early] >= TREND_GAP
    early, late = early[far], late[far]
    return float(np.median((logs[late] - logs[early]) / (ages[late] - ages[early]))) if far.any() else 0.0


def _errors(nano: "Array", usual: "Array", weekday: "Array") -> "Array":
    """The deviation of each day, relative to the usual cost; enlarged by what its share in the pattern hides."""
    import numpy as np

    errors = (nano - usual) / (usual + SMALL * nano.mean())
    of_its_kind = np.bincount(weekday, minlength=7)[weekday]
    middle = np.median(errors)
    return np.asarray(middle + (errors - middle) * np.sqrt(of_its_kind / np.maximum(of_its_kind - 0.8, 0.8)))

"""A month's sums by dimension, from daily rollups, and from the ledger if a bound is inside a day.

That happens after the organization's time zone changes: closed months keep their old zone, while daily rollups use the
new one. Only these partial days are read from the ledger.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet, Sum

from cost_app.calendar import ONE_DAY, Calendar
from cost_app.finance.months import Month
from cost_app.ledger.rollups import totals_between
from cost_app.models import SUMS, Dimension, UsageDay
from cost_app.policy import policy_of, zone_of

Sums = dict[str, int]


class MonthSums:
    """The organization's bookings in one month. Amounts in nano-dollars."""

    def __init__(self, organization_id: int, month: Month) -> None:
        self.organization_id, self.month = organization_id, month
        calendar = sums_calendar(organization_id)
        self._first, self._last = first, last = _whole_days(calendar, month)
        edges = [(month.starts_at, calendar.begin_of(first)), (calendar.begin_of(last + ONE_DAY), month.ends_at)]
        if first > last:
            edges = [(month.starts_at, month.ends_at)]
        self._edges = [(start, end) for start, end in edges if start < end]

    def total(self) -> Sums:
        """The total; zeros if nothing was booked."""
        return next(self.by(Dimension.TOTAL), ("", dict.fromkeys(SUMS, 0)))[1]

    def by(self, dimension: Dimension, most: int | None = None) -> Iterator[tuple[str, Sums]]:
        """(value, sums) by cost, highest first. At most `most` of them."""
        if self._edges:
            merged = sorted(self._merged(dimension).items(), key=lambda pair: (-pair[1]["nano"], pair[0]))
            yield from merged[:most]
            return
        for row in self._grouped(dimension)[:most].iterator():
            yield row["value"], {name: row[f"sum_{name}"] for name in SUMS}

    def _grouped(self, dimension: Dimension) -> Any:
        days: QuerySet[UsageDay] = UsageDay.objects.filter(
            organization_id=self.organization_id, dimension=dimension, day__gte=self._first, day__lte=self._last
        )
        grouped: Any = days.order_by().values("value").annotate(**{f"sum_{name}": Sum(name) for name in SUMS})
        return grouped.order_by("-sum_nano", "value")

    def _merged(self, dimension: Dimension) -> dict[str, Sums]:
        merged = {row["value"]: {name: row[f"sum_{name}"] for name in SUMS} for row in self._grouped(dimension)}
        for start, end in self._edges:
            for (kind, value), amounts in totals_between(self.organization_id, start, end).items():
                if kind == dimension:
                    sums = merged.setdefault(value, dict.fromkeys(SUMS, 0))
                    for name, amount in zip(SUMS, amounts, strict=True):
                        sums[name] += amount
        return merged


def sums_calendar(organization_id: int) -> Calendar:
    """The calendar of the daily rollups. For a minute after a change, it still has the old time zone."""
    zone = policy_of(organization_id).usage_time_zone
    return Calendar(ZoneInfo(zone) if zone else zone_of(organization_id))


def has_whole_days(calendar: Calendar, month: Month) -> bool:
    """Whether the month consists of whole days of a calendar, so that daily rollups cover it."""
    return (
        calendar.begin_of(month.first_day) == month.starts_at
        and calendar.begin_of(month.last_day + ONE_DAY) == month.ends_at
    )


def _whole_days(calendar: Calendar, month: Month) -> tuple[date, date]:
    """The calendar's first and last day that are completely inside the month."""
    first = calendar.day_of(month.starts_at)
    if calendar.begin_of(first) < month.starts_at:
        first += ONE_DAY
    return first, calendar.day_of(month.ends_at) - ONE_DAY

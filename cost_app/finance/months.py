"""The months of statements, exports, and closes.

Closed months keep the bounds and the time zone that they were closed with. Months of the current calendar fill the
gaps: a month that overlaps a closed one is cut there, and a remainder of less than a day joins its open neighbor.
Every instant is in exactly one month, whatever fiscal day or time zone is set later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Min
from django.utils import timezone

from cost_app.calendar import ONE_DAY, Calendar, Period
from cost_app.models import Dimension, MonthClose, UsageDay
from cost_app.policy import policy_of, zone_of

MONTHS_LISTED = 24
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Month:
    """One month with its first and last day. `starts_at` (UTC) is inclusive, `ends_at` exclusive. The days are in
    `time_zone` (IANA name).
    """

    first_day: date
    last_day: date
    starts_at: datetime
    ends_at: datetime
    time_zone: str

    @property
    def slug(self) -> str:
        """The month as URLs write it."""
        return self.first_day.isoformat()

    @property
    def is_over(self) -> bool:
        """Whether the month is over."""
        return timezone.now() >= self.ends_at

    def overlaps(self, other: "Month") -> bool:
        """Whether the two months have an instant in common."""
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at

    def __str__(self) -> str:
        if self.first_day.day == 1 and (self.last_day + ONE_DAY).day == 1:
            return f"{self.first_day:%B %Y}"
        return f"{self.first_day.isoformat()} to {self.last_day.isoformat()}"


def calendar_of(organization_id: int) -> Calendar:
    """The organization's calendar. Raises Organization.DoesNotExist."""
    return Calendar(zone_of(organization_id), policy_of(organization_id).month_starts_on)


def month_from(calendar: Calendar, day: date) -> Month:
    """The calendar's month of a day, ignoring closed months."""
    first = calendar.first_day(Period.MONTHLY, day)
    following = calendar.next_first_day(Period.MONTHLY, first)
    return _month(calendar, calendar.begin_of(first), calendar.begin_of(following))


def _month(calendar: Calendar, starts_at: datetime, ends_at: datetime) -> Month:
    days = calendar.day_of(starts_at), calendar.day_of(ends_at - INSTANT)
    return Month(*days, starts_at, ends_at, calendar.zone.key)


def closed_month(close: MonthClose, calendar: Calendar) -> Month:
    """The bounds that a month was closed with. A tampered row falls back to its days in the current calendar."""
    said = close.snapshot if isinstance(close.snapshot, dict) else {}
    try:
        bounds = [datetime.fromisoformat(said[name]) for name in ("starts_at", "ends_at")]
        aware = all(bound.utcoffset() is not None for bound in bounds)
        zone = str(said["time_zone"])
    except (KeyError, TypeError, ValueError):
        aware, zone = False, calendar.zone.key
    if not aware or bounds[0] >= bounds[1]:
        bounds = [calendar.begin_of(close.first_day), calendar.begin_of(close.last_day + ONE_DAY)]
    return Month(close.first_day, close.last_day, bounds[0], bounds[1], zone)


def closed_months(organization_id: int, calendar: Calendar) -> list[Month]:
    """The organization's closed months, oldest first."""
    closes = MonthClose.objects.filter(organization_id=organization_id).order_by("first_day")
    return [closed_month(close, calendar) for close in closes]


def month_at(calendar: Calendar, closed: Sequence[Month], instant: datetime) -> Month:
    """The month of an instant: a closed one, or the part of the calendar's month that no closed one covers."""
    for month in closed:
        if month.starts_at <= instant < month.ends_at:
            return month
    before = max((month.ends_at for month in closed if month.ends_at <= instant), default=None)
    after = min((month.starts_at for month in closed if month.starts_at > instant), default=None)
    base = month_from(calendar, calendar.day_of(instant))
    starts_at, ends_at = base.starts_at, base.ends_at
    if after and after - starts_at < ONE_DAY:
        starts_at = month_from(calendar, base.first_day - ONE_DAY).starts_at
    if before and ends_at - before < ONE_DAY:
        ends_at = month_from(calendar, base.last_day + ONE_DAY).ends_at
    if before and starts_at - before < ONE_DAY:
        starts_at = before
    if after and after - ends_at < ONE_DAY:
        ends_at = after
    return _month(calendar, starts_at, ends_at)


def months_of(organization_id: int) -> list[Month]:
    """Months from the first booking to today, two years at most, and all closed ones. Newest first."""
    calendar = calendar_of(organization_id)
    closed = closed_months(organization_id, calendar)
    days = UsageDay.objects.filter(organization_id=organization_id, dimension=Dimension.TOTAL)
    oldest = days.aggregate(oldest=Min("day"))["oldest"]
    months = {month.slug: month for month in closed}
    instant, first = timezone.now(), calendar.begin_of(oldest) if oldest else None
    for _ in range(MONTHS_LISTED):
        if first is None or instant < first:
            break
        month = month_at(calendar, closed, instant)
        months.setdefault(month.slug, month)
        instant = month.starts_at - INSTANT
    return sorted(months.values(), key=lambda month: month.starts_at, reverse=True)


def find_month(organization_id: int, slug: str) -> Month | None:
    """The month with this first day. None if it isn't a first day or is in the future."""
    try:
        first = date.fromisoformat(slug)
        calendar = calendar_of(organization_id)
        closed = closed_months(organization_id, calendar)
        edges = calendar.begin_of(first + ONE_DAY) - INSTANT, calendar.begin_of(first)
        found = [*closed, *(month_at(calendar, closed, edge) for edge in edges)]
    except (ValueError, OverflowError):
        return None
    now = timezone.now()
    return next((month for month in found if month.first_day == first and month.starts_at <= now), None)

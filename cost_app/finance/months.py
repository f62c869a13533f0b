"""The months that an organization's papers are about: those of its own calendar in which something was booked."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Min
from django.utils import timezone

from cost_app.calendar import Calendar, Period
from cost_app.models import Dimension, UsageDay
from cost_app.policy import policy_of, zone_of

MONTHS_LISTED = 24


@dataclass(frozen=True)
class Month:
    """One month with both its days; `starts_at` is its first instant (UTC), `ends_at` the first of the next one."""

    first_day: date
    last_day: date
    starts_at: datetime
    ends_at: datetime

    @property
    def slug(self) -> str:
        """As in addresses."""
        return self.first_day.isoformat()

    @property
    def is_over(self) -> bool:
        """Whether its last day has ended."""
        return timezone.now() >= self.ends_at

    def __str__(self) -> str:
        if self.first_day.day == 1:
            return f"{self.first_day:%B %Y}"
        return f"{self.first_day.isoformat()} to {self.last_day.isoformat()}"


def calendar_of(organization_id: int) -> Calendar:
    """The organization's calendar. Raises Organization.DoesNotExist."""
    return Calendar(zone_of(organization_id), policy_of(organization_id).month_starts_on)


def month_from(calendar: Calendar, day: date) -> Month:
    """The month that a day is in."""
    first = calendar.first_day(Period.MONTHLY, day)
    following = calendar.next_first_day(Period.MONTHLY, first)
    return Month(first, following - timedelta(days=1), calendar.begin_of(first), calendar.begin_of(following))


def months_of(organization_id: int) -> list[Month]:
    """The newest two years of months from the first booking to today, newest first; none where nothing was booked."""
    calendar = calendar_of(organization_id)
    days = UsageDay.objects.filter(organization_id=organization_id, dimension=Dimension.TOTAL)
    oldest = days.aggregate(oldest=Min("day"))["oldest"]
    months: list[Month] = []
    day = calendar.day_of(timezone.now())
    while oldest and day >= oldest and len(months) < MONTHS_LISTED:
        months.append(month_from(calendar, day))
        day = months[-1].first_day - timedelta(days=1)
    return months


def find_month(organization_id: int, slug: str) -> Month | None:
    """The month that an address names by its first day; None for what is no first day, or in the future."""
    try:
        first = date.fromisoformat(slug)
        month = month_from(calendar_of(organization_id), first)
    except (ValueError, OverflowError):
        return None
    return month if month.first_day == first and month.starts_at <= timezone.now() else None

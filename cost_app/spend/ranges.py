"""The range and grouping that a spend page shows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.http import QueryDict

from cost_app.calendar import ONE_DAY, Calendar, Period
from cost_app.models import Dimension
from cost_app.spend.series import Span, hours_between, last_periods, periods_between

RANGES = {
    "24h": "24 hours",
    "7d": "7 days",
    "30d": "30 days",
    "month": "This month",
    "last-month": "Last month",
    "12m": "12 months",
}
GROUPS = {
    "model": "Model",
    "provider": "Provider",
    "key": "API key",
    "user": "User",
    "tag": "Tag",
    "priority": "Priority",
}
DIMENSIONS = {name: Dimension.API_KEY if name == "key" else Dimension(name) for name in GROUPS}


@dataclass(frozen=True)
class View:
    """A range and a grouping from the URL; unknown values become the defaults."""

    range: str = "30d"
    by: str = "model"

    @classmethod
    def of(cls, query: QueryDict) -> "View":
        """Parse a page's query."""
        chosen, by = query.get("range", ""), query.get("by", "")
        return cls(chosen if chosen in RANGES else cls.range, by if by in GROUPS else cls.by)

    @property
    def dimension(self) -> Dimension:
        """The dimension of the grouping."""
        return DIMENSIONS[self.by]

    @property
    def title(self) -> str:
        """The range in words."""
        return RANGES[self.range]

    @property
    def query(self) -> str:
        """The view as a query string."""
        return urlencode({"range": self.range, "by": self.by})

    def span(self, calendar: Calendar, now: datetime) -> Span:
        """The periods of the range: hours of a day, months of a year, otherwise days."""
        today = calendar.day_of(now)
        month = calendar.first_day(Period.MONTHLY, today)
        match self.range:
            case "24h":
                return hours_between(calendar, now - timedelta(hours=23), now)
            case "7d":
                return last_periods(calendar, Period.DAILY, 7, now)
            case "month":
                return periods_between(calendar, Period.DAILY, month, today)
            case "last-month":
                before = calendar.previous_first_day(Period.MONTHLY, month)
                return periods_between(calendar, Period.DAILY, before, month - ONE_DAY)
            case "12m":
                return last_periods(calendar, Period.MONTHLY, 12, now)
            case _:
                return last_periods(calendar, Period.DAILY, 30, now)

"""Date ranges of the cache page."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils import timezone

RANGES = {"7d": "Last 7 days", "30d": "Last 30 days", "90d": "Last 90 days"}
DAYS = {"7d": 7, "30d": 30, "90d": 90}


@dataclass(frozen=True)
class DayRange:
    """A range from the URL; an unknown one is the default."""

    range: str = "30d"

    @classmethod
    def of(cls, query: QueryDict) -> "DayRange":
        """The range in a URL."""
        chosen = query.get("range", "")
        return cls(chosen if chosen in RANGES else cls.range)

    @property
    def days(self) -> int:
        """Days of the organization's calendar, including today."""
        return DAYS[self.range]

    @property
    def title(self) -> str:
        return RANGES[self.range]

    @property
    def query(self) -> str:
        """For a URL."""
        return urlencode({"range": self.range})

    def dates(self) -> list[date]:
        """Its days in the active time zone, which is the organization's; oldest first, today last."""
        today = timezone.localdate()
        return [today - timedelta(days=back) for back in reversed(range(self.days))]

    @property
    def since(self) -> datetime:
        """When its first day began."""
        return datetime.combine(self.dates()[0], time(), timezone.get_current_timezone())

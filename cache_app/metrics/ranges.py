"""Of which days the cache's page shows figures."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils import timezone

RANGES = {"7d": "7 days", "30d": "30 days", "90d": "90 days"}
DAYS = {"7d": 7, "30d": 30, "90d": 90}


@dataclass(frozen=True)
class View:
    """A range, as the address says it; one that it does not know is the default."""

    range: str = "30d"

    @classmethod
    def of(cls, query: QueryDict) -> "View":
        """Of a page's address."""
        chosen = query.get("range", "")
        return cls(chosen if chosen in RANGES else cls.range)

    @property
    def days(self) -> int:
        """How many days of the organization's calendar, today included."""
        return DAYS[self.range]

    @property
    def title(self) -> str:
        """The range in words."""
        return RANGES[self.range]

    @property
    def query(self) -> str:
        """For an address."""
        return urlencode({"range": self.range})

    def dates(self) -> list[date]:
        """Its days in the active time zone, which is the organization's; the oldest first, today last."""
        today = timezone.localdate()
        return [today - timedelta(days=back) for back in reversed(range(self.days))]

    @property
    def since(self) -> datetime:
        """When the first of its days began."""
        return datetime.combine(self.dates()[0], time(), timezone.get_current_timezone())

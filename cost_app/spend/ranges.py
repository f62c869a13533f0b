"""The range, grouping and filter that a spend page shows."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from django.http import QueryDict

from aiinfra.local_minutes import minute_text
from aiinfra.names import normal_name
from aiinfra.row_ids import is_row_id
from cost_app.calendar import ONE_DAY, Calendar, Period
from cost_app.models import OTHER_TAGS, Dimension
from cost_app.spend.series import Only
from cost_app.spend.spans import Span, cut_between, hours_between, last_periods, periods_between

RANGES = {
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "month": "This month",
    "last-month": "Last month",
    "12m": "Last 12 months",
    "custom": "Custom dates",
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
DAYS_IN_DAYS = 92
"""Longer custom ranges are shown by month."""
DAYS_MAX = 10 * 366


@dataclass(frozen=True)
class SpendView:
    """A range, a grouping, a filter and a comparison from the URL; unknown values become the defaults.

    `days` are the first and the last local date of a custom range. `only` is the filter: sums are kept by one dimension
    at a time, so a view has one filter, which decides what `by` can be.
    """

    range: str = "30d"
    by: str = "model"
    days: tuple[date, date] | None = None
    only: Only | None = None
    compares: bool = False

    @classmethod
    def of(cls, query: QueryDict) -> "SpendView":
        """Parse a page's query."""
        days = _days(query)
        chosen = query.get("range", "custom" if days else "")
        if chosen not in RANGES or (chosen == "custom" and not days):
            chosen = cls.range
        only, by = _only(query.get("only", "")), query.get("by", "")
        return cls(
            range=chosen,
            by=_splits(only) if only else by if by in GROUPS else cls.by,
            days=days if chosen == "custom" else None,
            only=only,
            compares=query.get("compare") == "1",
        )

    @property
    def dimension(self) -> Dimension:
        """The dimension of the grouping."""
        return DIMENSIONS[self.by]

    @property
    def title(self) -> str:
        """The range in words."""
        return RANGES[self.range]

    @property
    def only_name(self) -> str:
        """The filter in the URL: `key:7`, or ""."""
        return f"{_name_of(self.only.dimension)}:{self.only.value}" if self.only else ""

    @property
    def query(self) -> str:
        """The view as a query string."""
        days = dict(zip(("from", "to"), self.days, strict=True)) if self.days else {}
        filters = {"only": self.only_name} if self.only else {}
        compare = {"compare": "1"} if self.compares else {}
        return urlencode({"range": self.range, "by": self.by, **days, **filters, **compare})

    @property
    def everything(self) -> "SpendView":
        """The same without the filter."""
        return replace(self, only=None)

    def narrowed_to(self, value: str) -> "SpendView":
        """The same range for one of the groups shown."""
        only = Only(self.dimension, value)
        return replace(self, only=only, by=_splits(only))

    def on_days(self, first: date, last: date) -> "SpendView":
        """The same for these days."""
        return replace(self, range="custom", days=(first, last))

    def span(self, calendar: Calendar, now: datetime) -> Span:
        """The periods of the range: hours of a day, months of a year or more, otherwise days."""
        today = calendar.day_of(now)
        if self.days:
            return _between(calendar, *self.days, today)
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


def requests_query(span: Span, dimension: Dimension | None = None, public: str = "") -> str:
    """The filters of the request list that show the calls of a span; `public` is a value as programs know it."""
    ends = [minute_text(edge, span.calendar.zone) for edge in (span.edges[0], span.edges[-1])]
    of_group = _request_filter(dimension, public) if dimension else {}
    return urlencode({"since": ends[0], "until": ends[1], **of_group})


def _request_filter(dimension: Dimension, public: str) -> dict[str, str]:
    if dimension is Dimension.MODEL:
        provider, _, model = public.partition("/")
        return {"provider": provider, "model": model}
    return {_name_of(dimension): public}


def _between(calendar: Calendar, first: date, last: date, today: date) -> Span:
    first = min(first, today)
    last = min(last, today, first + timedelta(days=DAYS_MAX))
    days = (last - first).days + 1
    return cut_between(calendar, Period.DAILY if days <= DAYS_IN_DAYS else Period.MONTHLY, first, last)


def _days(query: QueryDict) -> tuple[date, date] | None:
    """Both dates in their order; one alone is a single day."""
    found = sorted(day for name in ("from", "to") if (day := _date(query.get(name, ""))))
    return (found[0], found[-1]) if found else None


def _date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year <= 2999 else None


def _only(text: str) -> Only | None:
    name, has_value, value = text.partition(":")
    if name not in DIMENSIONS or not has_value or len(value) > 200:
        return None
    if name == "key" and value and not is_row_id(value):
        return None
    is_name = name in ("user", "tag") and value != OTHER_TAGS
    return Only(DIMENSIONS[name], normal_name(value) if is_name else value)


def _splits(only: Only) -> str:
    return _name_of(only.splits_by)


def _name_of(dimension: Dimension) -> str:
    return next(name for name, each in DIMENSIONS.items() if each is dimension)

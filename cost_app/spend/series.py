"""Spend and usage by hour, day, week or month of the organization's calendar: from the rollups, never the ledger."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Count, Sum
from django.utils import timezone

from cost_app.calendar import ONE_DAY, Calendar, Period
from cost_app.models import SUMS, CostPolicy, Dimension, UsageDay, UsageHour
from cost_app.policy import policy_of, zone_of

HOURS_A_DAY = 24
TOP = 6
"""Groups shown by name, each in its color; the others are summed."""
GROUPS_MAX = 50
"""Groups returned to programs."""
OTHERS = "\0others"
"""Stands for the sum of all further groups; no name can equal it."""


@dataclass
class Totals:
    """Sums of some calls, one field for each of `SUMS`, and figures derived from them. Nano-dollars and ms."""

    nano: int = 0
    saved_nano: int = 0
    calls: int = 0
    errors: int = 0
    cache_hits: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    latency_ms: int = 0
    timed_calls: int = 0

    def add(self, other: "Totals") -> None:
        """Add the other's sums."""
        for name in SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt, including its cached parts."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def tokens(self) -> int:
        """All input and output tokens."""
        return self.prompt_tokens + self.output_tokens

    @property
    def answers(self) -> int:
        """Calls that did not fail: of providers, and of caches."""
        return max(0, self.calls - self.errors)

    @property
    def cache_hit_rate(self) -> float | None:
        """Percent of the answers that came from the semantic cache; None without answers.

        A failed attempt is not an answer: a request that succeeds on its second attempt counts once, like a cache
        lookup, so that this rate and that of the cache page agree.
        """
        return 100 * self.cache_hits / self.answers if self.answers else None

    @property
    def error_rate(self) -> float | None:
        """Percent of the calls that failed; None without calls."""
        return 100 * self.errors / self.calls if self.calls else None

    @property
    def nano_per_call(self) -> int | None:
        """Average cost, rounded to a nano-dollar; None without calls."""
        return round(self.nano / self.calls) if self.calls else None

    @property
    def average_latency_ms(self) -> float | None:
        """Average over the calls with a known end; None without any."""
        return self.latency_ms / self.timed_calls if self.timed_calls else None


@dataclass(frozen=True)
class CostMetrics:
    """One period. `groups` has its totals by the requested dimension; `is_over` is false for the current one."""

    starts_at: datetime
    ends_at: datetime
    totals: Totals
    is_over: bool
    groups: dict[str, Totals] = field(default_factory=dict)


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
        """The local date on which it is over."""
        return self.calendar.day_of(self.edges[-1] - timedelta(microseconds=1)) + ONE_DAY


def calendar_of(organization_id: int) -> Calendar:
    """The organization's time zone and fiscal months."""
    return Calendar(zone_of(organization_id), policy_of(organization_id).month_starts_on)


def kept(policy: CostPolicy, period: Period) -> int:
    """The maximum number of periods of a kind that the organization shows."""
    return {
        Period.HOURLY: policy.hourly_days * HOURS_A_DAY,
        Period.DAILY: policy.daily_days,
        Period.WEEKLY: policy.weekly_weeks,
        Period.MONTHLY: policy.monthly_months,
    }[period]


def get_cost_metrics(
    organization_id: int, period: str = "daily", limit: int = 30, *, by: str | None = None, now: datetime | None = None
) -> list[CostMetrics]:
    """The last periods, newest first, including those without a call; at most as many as the organization keeps.

    `by` is a dimension (provider, model, api_key, user, priority, tag) whose 50 groups with the highest cost each
    period lists, the others as one; with several tags, a call counts under each of them. Raises ValueError for an
    unknown period or dimension.
    """
    kind, dimension = Period(period), Dimension(by) if by else None
    policy = policy_of(organization_id)
    calendar = Calendar(zone_of(organization_id), policy.month_starts_on)
    span = last_periods(calendar, kind, min(limit, kept(policy, kind)), now or timezone.now())
    shown = list(ranking(organization_id, span, dimension, GROUPS_MAX)[0]) if dimension else []
    return metrics_of(organization_id, span, dimension, shown)[::-1]


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


def _days_span(calendar: Calendar, period: Period, days: Iterable[date]) -> Span:
    return Span(period, calendar, [calendar.begin_of(day) for day in days])


def hours_between(calendar: Calendar, first: datetime, last: datetime) -> Span:
    """Real hours of the local clock: 23 or 25 on days when the clocks change."""
    edges = [calendar.hour_of(first)]
    while edges[-1] <= last:
        edges.append(_next_hour(calendar, edges[-1]))
    return Span(Period.HOURLY, calendar, edges)


def _next_hour(calendar: Calendar, begin: datetime) -> datetime:
    """In zones whose clocks change by half an hour (Lord Howe) an hour of the clock can have 30 minutes."""
    following = calendar.hour_of(begin + timedelta(hours=1))
    return following if following > begin else begin + timedelta(hours=1)


def metrics_of(
    organization_id: int, span: Span, by: Dimension | None = None, shown: Sequence[str] = ()
) -> list[CostMetrics]:
    """Each period of a span, oldest first: one query, with `by` three.

    The `shown` groups of the dimension are listed by value, and all others summed as `OTHERS`.
    """
    totals = _sums(organization_id, span, Dimension.TOTAL)
    groups = _groups(organization_id, span, by, shown) if by else {}
    now = timezone.now()
    found = []
    for begin, end in zip(span.edges, span.edges[1:], strict=False):
        total = totals.get(begin, {}).get("", Totals())
        found.append(CostMetrics(begin, end, total, is_over=end <= now, groups=groups.get(begin, {})))
    return found


TotalsByPeriod = dict[datetime, dict[str, Totals]]
"""Start of the period -> value -> totals."""


def _sums(organization_id: int, span: Span, dimension: Dimension) -> TotalsByPeriod:
    return _collect(span, _rows(organization_id, span, dimension).values_list(_unit(span), "value", *SUMS))


def _groups(organization_id: int, span: Span, dimension: Dimension, shown: Sequence[str]) -> TotalsByPeriod:
    """The database sums the groups that are not shown by day: there may be thousands."""
    rows, unit = _rows(organization_id, span, dimension), _unit(span)
    by_value = rows.filter(value__in=shown).values_list(unit, "value", *SUMS)
    sums = [Sum(name) for name in SUMS]
    others = rows.exclude(value__in=shown).order_by().values_list(unit).annotate(*sums)
    rest = ((each[0], OTHERS, *map(int, each[1:])) for each in others)
    return _collect(span, [*by_value, *rest])


def _collect(span: Span, rows: Iterable[Any]) -> TotalsByPeriod:
    sums: TotalsByPeriod = defaultdict(dict)
    for unit, value, *amounts in rows:
        sums[_begin_of(span, unit)].setdefault(value, Totals()).add(Totals(*amounts))
    return sums


def _unit(span: Span) -> str:
    return "hour" if span.period is Period.HOURLY else "day"


def _rows(organization_id: int, span: Span, dimension: Dimension) -> Any:
    if span.period is Period.HOURLY:
        hours = UsageHour.objects.filter(hour__gte=span.edges[0], hour__lt=span.edges[-1])
        return hours.filter(organization_id=organization_id, dimension=dimension)
    days = UsageDay.objects.filter(day__gte=span.first_day, day__lt=span.end_day)
    return days.filter(organization_id=organization_id, dimension=dimension)


def ranking(organization_id: int, span: Span, dimension: Dimension, top: int = TOP) -> tuple[dict[str, Totals], int]:
    """The groups with the highest cost in a span, highest first, and how many there are: two queries."""
    rows = _rows(organization_id, span, dimension).order_by()
    sums = {f"{name}_sum": Sum(name) for name in SUMS}
    dearest = rows.values_list("value").annotate(**sums).order_by("-nano_sum", "-calls_sum", "value")[:top]
    count = rows.aggregate(count=Count("value", distinct=True))["count"]
    return {value: Totals(*map(int, amounts)) for value, *amounts in dearest}, count


def _begin_of(span: Span, unit: datetime | date) -> datetime:
    if isinstance(unit, datetime):
        return span.calendar.hour_of(unit.astimezone(UTC))
    return span.calendar.begin_of(span.calendar.first_day(span.period, unit))


def totals_between(organization_id: int, first: date, end: date) -> Totals:
    """All calls of the days from `first` to before `end`: one query."""
    return Totals(**_summed(UsageDay.objects.filter(dimension=Dimension.TOTAL), organization_id, first, end))


def _summed(days: Any, organization_id: int, first: date, end: date) -> dict[str, int]:
    within = days.filter(organization_id=organization_id, day__gte=first, day__lt=end)
    sums = within.aggregate(**{name: Sum(name, default=0) for name in SUMS})
    return {name: int(value) for name, value in sums.items()}


@dataclass(frozen=True)
class Breakdown:
    """The groups with the highest cost of a dimension, highest first, and all others in one; `of` is how many there
    are.
    """

    dimension: Dimension
    groups: dict[str, Totals]
    others: Totals | None
    of: int


def breakdown(organization_id: int, dimension: Dimension, first: date, end: date, top: int = TOP) -> Breakdown:
    """Who or what the days from `first` to before `end` were spent on: one query, summed by the database."""
    days = UsageDay.objects.filter(organization_id=organization_id, dimension=dimension, day__gte=first, day__lt=end)
    sums = {f"{name}_sum": Sum(name) for name in SUMS}
    rows = days.order_by().values_list("value").annotate(**sums)
    ranked = ranked_groups({value: Totals(*map(int, amounts)) for value, *amounts in rows})
    others = Totals()
    for _, totals in ranked[top:]:
        others.add(totals)
    return Breakdown(dimension, dict(ranked[:top]), others if len(ranked) > top else None, len(ranked))


def ranked_groups(groups: Mapping[str, Totals]) -> list[tuple[str, Totals]]:
    """Sort by cost, highest first."""
    return sorted(groups.items(), key=lambda pair: (-pair[1].nano, -pair[1].calls, pair[0]))

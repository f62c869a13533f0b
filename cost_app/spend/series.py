"""Spend and usage by hour, day, week or month of the organization's calendar: from the rollups, never the ledger."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import Count, F, Q, Sum, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from cost_app.calendar import Calendar, Period
from cost_app.models import SUMS, CostPolicy, Dimension, UsageDay, UsageHour
from cost_app.policy import policy_of, zone_of
from cost_app.spend.spans import Span, last_periods

HOURS_A_DAY = 24
TOP = 6
"""Groups shown by name, each in its color; the others are summed."""
GROUPS_MAX = 50
"""Groups returned to programs."""
OTHERS = "\0others"
"""Stands for the sum of all further groups; no name can equal it."""
ALL = Q()


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
    cache_write_1h_tokens: int = 0
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


def calendar_of(organization_id: int) -> Calendar:
    """The organization's time zone and fiscal months."""
    return Calendar(zone_of(organization_id), policy_of(organization_id).month_starts_on)


def retained(policy: CostPolicy, period: Period) -> int:
    """The maximum number of periods of a kind that the organization shows."""
    return {
        Period.HOURLY: policy.hourly_days * HOURS_A_DAY,
        Period.DAILY: policy.daily_days,
        Period.WEEKLY: policy.weekly_weeks,
        Period.MONTHLY: policy.monthly_months,
    }[period]


@dataclass(frozen=True)
class Only:
    """A filter: the calls of one provider, model, key, user, priority or tag."""

    dimension: Dimension
    value: str

    @property
    def splits_by(self) -> Dimension:
        """What its calls can be split by. Sums are by one dimension; only a model's value names its provider too."""
        return Dimension.MODEL if self.dimension is Dimension.PROVIDER else self.dimension

    def within(self, dimension: Dimension) -> Q:
        """Which sums of `dimension`, the filter's or the one it splits by, are of the filter's calls."""
        return Q(value=self.value) if dimension is self.dimension else Q(value__startswith=f"{self.value}/")


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
    span = last_periods(calendar, kind, min(limit, retained(policy, kind)), now or timezone.now())
    shown = list(ranking(organization_id, span, dimension, GROUPS_MAX)[0]) if dimension else []
    return metrics_of(organization_id, span, dimension, shown)[::-1]


def metrics_of(
    organization_id: int,
    span: Span,
    by: Dimension | None = None,
    shown: Sequence[str] = (),
    only: Only | None = None,
) -> list[CostMetrics]:
    """Each period of a span, oldest first: one query, with `by` three.

    Of the dimension the groups that are `shown` come by their values, and all others summed as `OTHERS`. With `only`,
    `by` is what it splits by.
    """
    totals = _sums(organization_id, span, only)
    groups = _groups(organization_id, span, by, shown, only) if by else {}
    now = timezone.now()
    found = []
    for begin, end in zip(span.edges, span.edges[1:], strict=False):
        total = totals.get(begin, {}).get(only.value if only else "", Totals())
        found.append(CostMetrics(begin, end, total, is_over=end <= now, groups=groups.get(begin, {})))
    return found


TotalsByPeriod = dict[datetime, dict[str, Totals]]
"""Start of the period -> value -> totals."""


def _sums(organization_id: int, span: Span, only: Only | None) -> TotalsByPeriod:
    whole = Only(Dimension.TOTAL, "") if only is None else only
    rows = _rows(organization_id, span, [whole.dimension], Q(value=whole.value))
    return _collect(span, rows.values_list(_unit(span), "value", *SUMS))


def _groups(
    organization_id: int, span: Span, dimension: Dimension, shown: Sequence[str], only: Only | None = None
) -> TotalsByPeriod:
    """Of the groups that are not shown the database makes one sum a day: there may be thousands."""
    rows, unit = _rows(organization_id, span, [dimension], only.within(dimension) if only else ALL), _unit(span)
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


def _rows(organization_id: int, span: Span, dimensions: Sequence[Dimension], values: Q = ALL) -> Any:
    if span.period is Period.HOURLY:
        rows: Any = UsageHour.objects.filter(hour__gte=span.edges[0], hour__lt=span.edges[-1])
    else:
        rows = UsageDay.objects.filter(day__gte=span.first_day, day__lt=span.end_day)
    return rows.filter(values, organization_id=organization_id, dimension__in=dimensions)


def ranking(
    organization_id: int, span: Span, dimension: Dimension, top: int = TOP, only: Only | None = None
) -> tuple[dict[str, Totals], int]:
    """The groups with the highest cost in a span, highest first, and how many there are: two queries."""
    rows = _rows(organization_id, span, [dimension], only.within(dimension) if only else ALL).order_by()
    highest = _totals_by_value(rows).order_by("-nano_sum", "-calls_sum", "value")[:top]
    count = rows.aggregate(count=Count("value", distinct=True))["count"]
    return {value: Totals(*map(int, amounts)) for value, *amounts in highest}, count


def top_values(
    organization_id: int, span: Span, dimensions: Sequence[Dimension], top: int
) -> dict[Dimension, list[str]]:
    """The values of each dimension with the highest cost in a span, highest first: one query."""
    rows = _rows(organization_id, span, dimensions).order_by().values("dimension", "value").annotate(cost=Sum("nano"))
    place = Window(RowNumber(), partition_by=[F("dimension")], order_by=[F("cost").desc(), F("value").asc()])
    found: dict[Dimension, list[str]] = {dimension: [] for dimension in dimensions}
    for row in rows.annotate(place=place).filter(place__lte=top).order_by("place"):
        found[Dimension(row["dimension"])].append(row["value"])
    return found


def _totals_by_value(rows: Any) -> Any:
    return rows.values_list("value").annotate(**{f"{name}_sum": Sum(name) for name in SUMS})


def _begin_of(span: Span, unit: datetime | date) -> datetime:
    if isinstance(unit, datetime):
        return span.calendar.hour_of(unit.astimezone(UTC))
    begin = span.calendar.begin_of(span.calendar.first_day(span.period, unit))
    return max(begin, span.edges[0])  # where the first week or month is cut short


def totals_between(
    organization_id: int, first: date, end: date, dimension: str = Dimension.TOTAL, values: Sequence[str] = ("",)
) -> Totals:
    """The calls of the days from `first` to before `end`, all or those with one of a dimension's values: one query."""
    days = UsageDay.objects.filter(dimension=dimension, value__in=values, day__gte=first, day__lt=end)
    return Totals(**_summed(days.filter(organization_id=organization_id)))


def _summed(rows: Any) -> dict[str, int]:
    sums = rows.aggregate(**{name: Sum(name, default=0) for name in SUMS})
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
    rows = _totals_by_value(days.order_by())
    ranked = ranked_groups({value: Totals(*map(int, amounts)) for value, *amounts in rows})
    others = Totals()
    for _, totals in ranked[top:]:
        others.add(totals)
    return Breakdown(dimension, dict(ranked[:top]), others if len(ranked) > top else None, len(ranked))


def ranked_groups(groups: Mapping[str, Totals]) -> list[tuple[str, Totals]]:
    """Sort by cost, highest first."""
    return sorted(groups.items(), key=lambda pair: (-pair[1].nano, -pair[1].calls, pair[0]))

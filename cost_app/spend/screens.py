"""Data for the spend pages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.utils import timezone

from aiinfra.templatetags.formats import money_places
from aiinfra.tenants.models import ApiKey
from cost_app.calendar import ONE_DAY, Period
from cost_app.models import OTHER_TAGS, Dimension
from cost_app.spend.ranges import GROUPS, SpendView, requests_query
from cost_app.spend.series import OTHERS, TOP, CostMetrics, Totals, calendar_of, metrics_of, ranking
from cost_app.spend.spans import Span, span_before

PRIORITIES = {"1000": "critical", "500": "high", "100": "normal", "10": "low"}
WITHOUT = {
    Dimension.API_KEY: "without a key",
    Dimension.USER: "without a user",
    Dimension.TAG: "without a tag",
    Dimension.PRIORITY: "without a priority",
}


@dataclass(frozen=True)
class Group:
    """A model, key, user or other group: its name and its sums, and those of the previous period if the view compares.

    `share` is percent of the total spend; None if corrections leave no positive total. `view` is the same page for this
    group alone, and `requests` the filters of its requests; the group of all others has neither.
    """

    value: str
    name: str
    totals: Totals
    share: float | None
    before: Totals | None = None
    view: SpendView | None = None
    requests: str = ""

    @property
    def change(self) -> int | None:
        """Percent by which the cost differs from the period before."""
        return change_percent(self.totals.nano, self.before)


@dataclass(frozen=True)
class Spend:
    """A range of periods with the groups that cost most; the others are one group at the end.

    `earlier` and `before` are the previous period and its sums, if the view compares. `requests` are the filters of the
    request list that show what was spent.
    """

    view: SpendView
    span: Span
    metrics: Sequence[CostMetrics]
    totals: Totals
    groups: Sequence[Group]
    of: int
    earlier: Span | None = None
    before: Totals | None = None
    only_name: str = ""
    requests: str = ""

    @property
    def hidden(self) -> int:
        """How many groups the last one sums."""
        return max(0, self.of - TOP)

    @property
    def last_day(self) -> date:
        """The last local date of the range."""
        return self.span.end_day - ONE_DAY

    @property
    def earlier_last_day(self) -> date | None:
        """The last local date of the period before."""
        return self.earlier.end_day - ONE_DAY if self.earlier else None

    @property
    def group_title(self) -> str:
        """What the groups are."""
        return GROUPS[self.view.by]

    @property
    def group_title_inline(self) -> str:
        """The same within a sentence."""
        return self.group_title if self.group_title.startswith("API") else self.group_title.lower()

    @property
    def unit(self) -> str:
        """What the periods are, in the plural."""
        return {Period.HOURLY: "hours", Period.DAILY: "days"}.get(self.span.period, "months")

    @property
    def whole_share(self) -> int | None:
        """The share of the total: 100, or None without a positive total."""
        return 100 if self.totals.nano > 0 else None

    @property
    def change(self) -> int | None:
        """Percent by which the cost differs from the period before."""
        return change_percent(self.totals.nano, self.before)

    @property
    def counts_some_twice(self) -> bool:
        """Whether a call is in several groups, so that the shares add up to more than the whole."""
        return (
            self.view.dimension is Dimension.TAG and sum(each.totals.calls for each in self.groups) > self.totals.calls
        )

    @property
    def places(self) -> int:
        """Decimals of the column of costs."""
        return money_places([self.totals.nano, *(each.totals.nano for each in self.groups)])

    @property
    def places_per_call(self) -> int:
        """Decimals of the column of costs per call."""
        return money_places([each.nano_per_call or 0 for each in (self.totals, *(one.totals for one in self.groups))])


def change_percent(nano: int, before: Totals | None) -> int | None:
    """The change since the period before; None without one, and where that cost nothing."""
    return round(100 * (nano - before.nano) / before.nano) if before and before.nano > 0 else None


def spend(organization_id: int, view: SpendView, now: datetime | None = None) -> Spend:
    """What a page shows of a range: at most ten queries, whatever was spent."""
    span = view.span(calendar_of(organization_id), now or timezone.now())
    shown, count = ranking(organization_id, span, view.dimension, only=view.only)
    metrics = metrics_of(organization_id, span, view.dimension, list(shown), view.only)
    totals, others = Totals(), Totals()
    for each in metrics:
        totals.add(each.totals)
        others.add(each.groups.get(OTHERS, Totals()))
    names, public = _named(view.dimension, shown)
    earlier = span_before(span) if view.compares else None
    before, group_before = _before(organization_id, view, earlier, shown) if earlier else (None, {})
    whole = totals.nano if all(part.nano >= 0 for part in (*shown.values(), others)) else 0
    rows = [
        _group(view, span, value, names[value], public[value], sums, _share(sums, whole), group_before.get(value))
        for value, sums in shown.items()
    ]
    if count > len(shown):
        name = f"{count - len(shown)} others"
        rows.append(Group(OTHERS, name, others, _share(others, whole), group_before.get(OTHERS)))
    return Spend(view, span, metrics, totals, rows, count, earlier, before, *_filter_in_words(view, span))


def _group(
    view: SpendView,
    span: Span,
    value: str,
    name: str,
    public: str,
    sums: Totals,
    share: float | None,
    before: Totals | None,
) -> Group:
    """The request list cannot filter by the absence of a key, user or tag, or by many tags: no link then."""
    requests = requests_query(span, view.dimension, public) if value not in ("", OTHER_TAGS) else ""
    return Group(value, name, sums, share, before, view.narrowed_to(value), requests)


def _before(
    organization_id: int, view: SpendView, span: Span, shown: Mapping[str, Totals]
) -> tuple[Totals, Mapping[str, Totals]]:
    """The sums of the period before: of all, and of the groups shown now with the others."""
    metrics = metrics_of(organization_id, span, view.dimension, list(shown), view.only)
    totals, groups = Totals(), {value: Totals() for value in (*shown, OTHERS)}
    for each in metrics:
        totals.add(each.totals)
        for value, sums in each.groups.items():
            groups[value].add(sums)
    return totals, groups


def totals_only(organization_id: int, view: SpendView) -> Spend:
    """The same without groups, for figures that show none: three queries."""
    span = view.span(calendar_of(organization_id), timezone.now())
    metrics = metrics_of(organization_id, span, only=view.only)
    totals = Totals()
    for each in metrics:
        totals.add(each.totals)
    return Spend(view, span, metrics, totals, [], 0)


def _filter_in_words(view: SpendView, span: Span) -> tuple[str, str]:
    """The name of the filter, and the filters of the request list."""
    if view.only is None:
        return "", requests_query(span)
    value = view.only.value
    names, public = _named(view.only.dimension, [value])
    return names[value], requests_query(span, view.only.dimension, public[value])


def _named(dimension: Dimension, values: Iterable[str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The names of values, and the values as programs know them: one query for API keys, none for others."""
    if dimension is not Dimension.API_KEY:
        return names_of(dimension, values), public_values(dimension, values)
    values = list(values)
    keys = ApiKey.objects.filter(id__in=[int(value) for value in values if value])
    names = {value: value or WITHOUT[dimension] for value in values}
    public = {value: value for value in values}
    for key in keys:
        names[str(key.pk)], public[str(key.pk)] = key.name, key.key_id
    return names, public


def _share(part: Totals, whole_nano: int) -> float | None:
    return 100 * part.nano / whole_nano if 0 <= part.nano <= whole_nano > 0 else None


def names_of(dimension: Dimension, values: Iterable[str]) -> Mapping[str, str]:
    """Display names of values: one query for those of API keys, none for others."""
    values = list(values)
    names = {value: value or WITHOUT.get(dimension, "unknown") for value in values}
    if dimension is Dimension.PRIORITY:
        names |= {value: PRIORITIES[value] for value in values if value in PRIORITIES}
    if dimension is Dimension.API_KEY:
        keys = ApiKey.objects.filter(id__in=[int(value) for value in values if value])
        names |= {str(key.pk): key.name for key in keys}
    return names


def public_values(dimension: Dimension, values: Iterable[str]) -> Mapping[str, str]:
    """API names of values: the public ID of an API key, the name of a priority, otherwise the value itself.

    One query for API keys, none for others.
    """
    values = list(values)
    if dimension is Dimension.PRIORITY:
        return {value: PRIORITIES.get(value, value) for value in values}
    found = {value: value for value in values}
    if dimension is Dimension.API_KEY:
        keys = ApiKey.objects.filter(id__in=[int(value) for value in values if value.isdecimal()])
        found |= {str(pk): key_id for pk, key_id in keys.values_list("pk", "key_id")}
    return found

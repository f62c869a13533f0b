"""Data for the spend pages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from aiinfra.tenants.models import ApiKey
from cost_app.models import Dimension
from cost_app.spend.ranges import GROUPS, View
from cost_app.spend.series import OTHERS, TOP, CostMetrics, Totals, calendar_of, metrics_of, ranking

PRIORITIES = {"1000": "critical", "500": "high", "100": "normal", "10": "low"}
WITHOUT = {
    Dimension.API_KEY: "without a key",
    Dimension.USER: "without a user",
    Dimension.TAG: "without a tag",
    Dimension.PRIORITY: "without a priority",
}


@dataclass(frozen=True)
class Group:
    """A model, key, user or other group: its name and its sums.

    `share` is percent of the total spend; None if corrections leave no positive total.
    """

    value: str
    name: str
    totals: Totals
    share: int | None


@dataclass(frozen=True)
class Spend:
    """A range of periods with the groups that cost most; the others are one group at the end."""

    view: View
    metrics: Sequence[CostMetrics]
    totals: Totals
    groups: Sequence[Group]
    of: int

    @property
    def hidden(self) -> int:
        """How many groups the last one sums."""
        return max(0, self.of - TOP)

    @property
    def group_title(self) -> str:
        """What the groups are."""
        return GROUPS[self.view.by]


def spend(organization_id: int, view: View, now: datetime | None = None) -> Spend:
    """What a page shows of a range: at most eight queries, whatever was spent."""
    span = view.span(calendar_of(organization_id), now or timezone.now())
    shown, count = ranking(organization_id, span, view.dimension)
    metrics = metrics_of(organization_id, span, view.dimension, list(shown))
    totals, others = Totals(), Totals()
    for each in metrics:
        totals.add(each.totals)
        others.add(each.groups.get(OTHERS, Totals()))
    names = names_of(view.dimension, shown)
    whole = totals.nano if all(part.nano >= 0 for part in (*shown.values(), others)) else 0
    rows = [Group(value, names[value], of_group, _share(of_group, whole)) for value, of_group in shown.items()]
    if count > len(shown):
        rows.append(Group(OTHERS, f"{count - len(shown)} others", others, _share(others, whole)))
    return Spend(view, metrics, totals, rows, count)


def totals_only(organization_id: int, view: View) -> Spend:
    """The same without groups, for figures that show none: three queries."""
    metrics = metrics_of(organization_id, view.span(calendar_of(organization_id), timezone.now()))
    totals = Totals()
    for each in metrics:
        totals.add(each.totals)
    return Spend(view, metrics, totals, [], 0)


def _share(part: Totals, whole_nano: int) -> int | None:
    return round(100 * part.nano / whole_nano) if 0 <= part.nano <= whole_nano > 0 else None


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

"""The filters that the Costs page offers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cost_app.spend.ranges import DIMENSIONS, GROUPS
from cost_app.spend.screens import Spend, names_of
from cost_app.spend.series import top_values

CHOICES = 50
"""Values offered per dimension. The URL can name any other value."""


@dataclass(frozen=True)
class FilterChoice:
    """A filter as written in the URL, such as `key:7`, and its display name."""

    name: str
    text: str


def filter_choices(organization_id: int, shown: Spend) -> Mapping[str, Sequence[FilterChoice]]:
    """Dimension title -> its values with the highest cost in the range, and the selected one. Two queries."""
    only = shown.view.only
    found = top_values(organization_id, shown.span, list(DIMENSIONS.values()), CHOICES)
    if only and only.value not in found[only.dimension]:
        found[only.dimension].append(only.value)
    return {title: _choices(name, found[DIMENSIONS[name]]) for name, title in GROUPS.items() if found[DIMENSIONS[name]]}


def _choices(name: str, values: Sequence[str]) -> Sequence[FilterChoice]:
    names = names_of(DIMENSIONS[name], values)
    return [FilterChoice(f"{name}:{value}", names[value]) for value in values if value]

"""Explains a change in cost: the largest contributors, and the change split into price, volume and mix.

For each model m with calls n and cost c, before (0) and now (1), the change of the total is split without a remainder:

volume = (N1 - N0) x C0 / N0                       more or fewer calls, at the old average mix
mix    = sum over m of (n1 - n0 x N1 / N0) x p0    calls moved between models, at each model's old cost per call
price  = sum over m of n1 x (p1 - p0)              each model's calls became more or less expensive

with N the calls and C the cost of all models and p = c / n. For a model without earlier calls, its present cost per
call also counts as the old one: what it adds is mix. Rounding goes to price. More expensive calls have higher prices or
more tokens: price includes both.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from cost_app.budgets.scopes import Scope
from cost_app.calendar import ONE_DAY
from cost_app.models import Dimension
from cost_app.spend.screens import names_of, public_values
from cost_app.spend.series import Breakdown, Totals, breakdown, totals_between

CONTRIBUTORS = 3
MANY = 10_000
DIMENSIONS = (Dimension.MODEL, Dimension.API_KEY, Dimension.USER, Dimension.TAG)


@dataclass(frozen=True)
class Effects:
    """Nano-dollars; together they equal the change."""

    price: int
    volume: int
    mix: int


def explanation(organization_id: int, first: date, end: date, scope: Scope | None = None) -> dict[str, Any]:
    """Compare the days from `first` to before `end` with as many days before them, as JSON; eight queries.

    With a scope, only its calls: two queries. Sums are kept by one dimension at a time, so its change has no mix.
    """
    before_first = first - max((end - first) // ONE_DAY, 1) * ONE_DAY
    days = {"from": first.isoformat(), "to": end.isoformat(), "comparedFrom": before_first.isoformat()}
    if scope and scope.dimension != Dimension.TOTAL:
        return days | _of_scope(organization_id, scope, (before_first, first, end))
    return days | _of_everything(organization_id, (before_first, first, end))


def _of_scope(organization_id: int, scope: Scope, edges: tuple[date, date, date]) -> dict[str, Any]:
    """What the scope's own calls changed."""
    before, now = (
        totals_between(organization_id, begin, end, scope.dimension, scope.values) for begin, end in pairwise(edges)
    )
    effects, change = split({"": before}, {"": now}), now.nano - before.nano
    dimension, value = Dimension(scope.dimension), scope.values[0]
    own = {
        "dimension": dimension.value,
        "value": public_values(dimension, [value])[value],
        "name": names_of(dimension, [value])[value],
        "nano": now.nano,
        "change": change,
    }
    return {"change": change, **asdict(effects), "scope": dimension.value, "contributors": [own]}


def _of_everything(organization_id: int, edges: tuple[date, date, date]) -> dict[str, Any]:
    before_first, first, end = edges
    contributors = []
    effects = Effects(0, 0, 0)
    change = 0
    for dimension in DIMENSIONS:
        now = breakdown(organization_id, dimension, first, end, top=MANY)
        before = breakdown(organization_id, dimension, before_first, first, top=MANY)
        contributors += _contributors(dimension, now, before)
        if dimension is Dimension.MODEL:
            effects = split(before.groups, now.groups)
            change = _total(now.groups).nano - _total(before.groups).nano
    return {"change": change, **asdict(effects), "contributors": contributors}


def split(before: Mapping[str, Totals], now: Mapping[str, Totals]) -> Effects:
    """Split the change of cost into its three parts, by model."""
    old, new = _total(before), _total(now)
    change = new.nano - old.nano
    if not old.calls:
        return Effects(0, change, 0)
    volume = round((new.calls - old.calls) * old.nano / old.calls)
    mix = round(sum(_moved(value, before, now, new.calls / old.calls) for value in before.keys() | now.keys()))
    return Effects(change - volume - mix, volume, mix)


def _moved(value: str, before: Mapping[str, Totals], now: Mapping[str, Totals], growth: float) -> float:
    was, is_now = before.get(value, Totals()), now.get(value, Totals())
    usual = was if was.calls else is_now
    per_call = usual.nano / usual.calls if usual.calls else 0.0
    return (is_now.calls - was.calls * growth) * per_call


def _total(groups: Mapping[str, Totals]) -> Totals:
    total = Totals()
    for each in groups.values():
        total.add(each)
    return total


def _contributors(dimension: Dimension, now: Breakdown, before: Breakdown) -> list[dict[str, Any]]:
    """Whose cost rose most."""
    changes = {value: totals.nano - before.groups.get(value, Totals()).nano for value, totals in now.groups.items()}
    risen = sorted((value for value, change in changes.items() if change > 0), key=lambda value: -changes[value])
    shown = risen[:CONTRIBUTORS]
    names, public = names_of(dimension, shown), public_values(dimension, shown)
    return [
        {
            "dimension": dimension.value,
            "value": public[value],
            "name": names[value],
            "nano": now.groups[value].nano,
            "change": changes[value],
        }
        for value in shown
    ]

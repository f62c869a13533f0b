"""The charts of one budget as Plotly dicts. Amounts are decimal texts, which Plotly reads as numbers: no float is
created.

Times are in the active time zone, which is the organization's.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import partial
from typing import Any

from django.utils import timezone

from aiinfra.charts import Chart, Figure, Table
from aiinfra.money import dollars
from aiinfra.templatetags.formats import day_text, money, time_text
from cost_app.budgets.scopes import scope_of
from cost_app.budgets.screens import BudgetRow, BudgetUsage, past_windows
from cost_app.calendar import ONE_DAY, Calendar
from cost_app.models import Budget, BudgetPeriod, BudgetWindow, UsageDay, UsageHour
from cost_app.policy import zone_of
from cost_app.spend.spans import hours_between

MS = timedelta(milliseconds=1)
TICK_HOURS = 3
LEFT_COLOR, PACE_COLOR = "var(--series-1)", "var(--series-low)"
SPENT_COLOR, RUNNING_COLOR, LIMIT_COLOR = "var(--series-1)", "var(--series-6)", "var(--series-3)"
BARS = 24

Place = Callable[[datetime], str]
"""Where Plotly draws a moment."""


@dataclass(frozen=True)
class Point:
    """Spending between the previous point and this moment, and what was left then; nano-dollars."""

    at: datetime
    spent_nano: int
    left_nano: int


def burn_down(row: BudgetRow) -> Chart:
    """What is left of the current window by hour (of a day) or by day, compared with an even pace. Two queries."""
    points = _points(row)
    window, limit = row.window, row.usage.limit_nano
    left = [(window.starts_at, limit), *((point.at, point.left_nano) for point in points)]
    pace = [(window.starts_at, limit), (window.ends_at, 0)]
    axis, place = _time_axis(row)
    traces = [
        _line("left", left, place, {"color": LEFT_COLOR, "width": 2}),
        _line("even pace", pace, place, {"color": PACE_COLOR, "width": 1, "dash": "dash"}),
    ]
    rows = [
        [
            time_text(point.at),
            money(point.spent_nano),
            money(point.left_nano),
            money(_pace_at(window, limit, point.at)),
        ]
        for point in reversed(points)
    ]
    return Chart(
        {"data": traces, "layout": {"xaxis": axis, "yaxis": _axis()}},
        Table(["Until", "Spent", "Left", "Remaining at an even pace"], rows),
    )


def history(budget: Budget, row: BudgetRow | None) -> Chart:
    """Spending in each window compared with its limit, the current one last. One query."""
    past = past_windows(budget, BARS)[::-1]
    names = [day_text(each.window.starts_at) for each in past]
    traces = [_bars("spent", names, [each.usage.spent_nano for each in past], SPENT_COLOR)]
    shown: list[tuple[str, BudgetUsage]] = [(name, each.usage) for name, each in zip(names, past, strict=True)]
    if row:
        running = day_text(row.window.starts_at)
        traces.append(_bars("so far", [running], [row.usage.spent_nano], RUNNING_COLOR))
        shown.append((running, row.usage))
    limits = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "limit",
        "line": {"color": LIMIT_COLOR, "width": 2, "shape": "hvh"},
        "x": [name for name, _ in shown],
        **_amounts([usage.limit_nano for _, usage in shown]),
    }
    layout = {"xaxis": {"type": "category"}, "yaxis": _axis(), "barmode": "overlay"}
    return Chart({"data": [*traces, limits] if shown else [], "layout": layout}, _history_table(shown))


def _history_table(shown: Iterable[tuple[str, BudgetUsage]]) -> Table:
    rows = [[name, money(usage.spent_nano), money(usage.limit_nano)] for name, usage in shown]
    return Table(["From", "Spent", "Limit"], rows[::-1])


def _points(row: BudgetRow) -> list[Point]:
    """One point at the end of each step, the last one now.

    The rollups count from the beginning of the period, a budget from when it was created: any excess in the rollups was
    spent before that, and is subtracted from their earliest part.
    """
    window, usage = row.window, row.usage
    calendar = Calendar(zone_of(window.organization_id))
    sums = _hours(row) if row.budget.period == BudgetPeriod.DAILY else _days(row, calendar)
    now = min(timezone.now(), window.ends_at)
    before = max(0, sum(nano for _, nano in sums) - usage.spent_nano)
    ends = [*_steps(row, calendar, now), now]
    totals = [sum(nano for begin, nano in sums if begin < end) - before for end in ends[:-1]] + [usage.spent_nano]
    points: list[Point] = []
    counted = 0
    for end, total in zip(ends, _never_falling(totals), strict=True):
        points.append(Point(end, total - counted, usage.limit_nano - total))
        counted = total
    return points


def _never_falling(totals: list[int]) -> list[int]:
    """Totals that end with the last one: none above a later one, none below 0.

    The rollups include corrections of calls that the budget did not count; those never reduce what it did count.
    """
    last = totals[-1]
    capped = [max(0, total) for total in totals[:-1]] + [last]
    for position in range(len(capped) - 2, -1, -1):
        capped[position] = min(capped[position], max(0, capped[position + 1]))
    return capped


def _steps(row: BudgetRow, calendar: Calendar, now: datetime) -> list[datetime]:
    """The ends of the hours or days of the window that are over."""
    begin = row.window.starts_at
    if row.budget.period == BudgetPeriod.DAILY:
        ends = list(hours_between(calendar, begin, now).edges)
    else:
        first, last = calendar.day_of(begin), calendar.day_of(now)
        ends = [calendar.begin_of(first + ONE_DAY * number) for number in range(1, (last - first).days + 1)]
    return [end for end in ends if begin < end < now]


def _hours(row: BudgetRow) -> list[tuple[datetime, int]]:
    window = row.window
    rows = UsageHour.objects.filter(**_dimension(row.budget), hour__gte=window.starts_at, hour__lt=window.ends_at)
    return list(rows.order_by("hour").values_list("hour", "nano"))


def _days(row: BudgetRow, calendar: Calendar) -> list[tuple[datetime, int]]:
    first, last = calendar.day_of(row.window.starts_at), calendar.day_of(row.window.ends_at - MS)
    rows = UsageDay.objects.filter(**_dimension(row.budget), day__gte=first, day__lte=last).order_by("day")
    days: list[tuple[date, int]] = list(rows.values_list("day", "nano"))
    return [(calendar.begin_of(day), nano) for day, nano in days]


def _dimension(budget: Budget) -> dict[str, Any]:
    scope = scope_of(budget.scope, budget.scope_value)
    return {"dimension": scope.dimension, "value__in": scope.values}


def _pace_at(window: BudgetWindow, limit: int, at: datetime) -> int:
    length, passed = (window.ends_at - window.starts_at) // MS, (at - window.starts_at) // MS
    return limit - limit * passed // length


def _time_axis(row: BudgetRow) -> tuple[Figure, Place]:
    """The axis of the current window, and where a moment is on it.

    On a day on which the clocks change, moments are placed by the time that has passed, and labeled with the clock's.
    """
    window = row.window
    begin, end = timezone.localtime(window.starts_at), timezone.localtime(window.ends_at)
    first_offset = begin.utcoffset()
    if row.budget.period != BudgetPeriod.DAILY or first_offset is None or first_offset == end.utcoffset():
        return {"type": "date", "range": [_stamp(begin), _stamp(end)]}, _stamp
    hours = hours_between(Calendar(zone_of(window.organization_id)), begin, end).edges
    ticks = [hour for hour in map(timezone.localtime, hours) if hour.hour % TICK_HOURS == 0 and hour <= end]
    by_time_passed = partial(_stamp, zone=timezone.get_fixed_timezone(first_offset))
    axis: Figure = {
        "type": "date",
        "range": [by_time_passed(begin), by_time_passed(end)],
        "tickvals": [by_time_passed(tick) for tick in ticks],
        "ticktext": [f"{tick:%H:%M}" for tick in ticks],
        "unifiedhovertitle": {"text": day_text(begin)},
    }
    return axis, by_time_passed


def _line(name: str, points: Iterable[tuple[datetime, int]], place: Place, line: Figure) -> Figure:
    moments, amounts = zip(*points, strict=True)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "line": line,
        "x": [place(moment) for moment in moments],
        **_amounts(amounts),
        "customdata": [[money(nano), time_text(moment)] for moment, nano in zip(moments, amounts, strict=True)],
        "hovertemplate": "%{customdata[0]} (%{customdata[1]})" if place is not _stamp else "%{customdata[0]}",
    }


def _bars(name: str, x: Sequence[str], amounts: Sequence[int], color: str) -> Figure:
    return {"type": "bar", "name": name, "x": x, "marker": {"color": color}, **_amounts(amounts)}


def _amounts(amounts: Iterable[int]) -> Figure:
    nanos = list(amounts)
    return {
        "y": [dollars(nano) for nano in nanos],
        "customdata": [money(nano) for nano in nanos],
        "hovertemplate": "%{customdata}",
    }


def _axis() -> Figure:
    return {"type": "linear", "rangemode": "tozero", "tickprefix": "$", "separatethousands": True, "nticks": 6}


def _stamp(moment: datetime, zone: tzinfo | None = None) -> str:
    """A timestamp for Plotly: without an offset, so that it is displayed unchanged."""
    return timezone.localtime(moment, zone).strftime("%Y-%m-%dT%H:%M:%S")

"""The charts of spend as Plotly dicts, each with the same figures as a table.

Amounts are decimal texts in dollars, which Plotly reads as numbers: no float is created, and no nano-dollar is lost.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from django.urls import reverse
from django.utils import timezone

from aiinfra.charts import Chart, Figure, Table
from aiinfra.money import dollars
from aiinfra.templatetags.formats import day_text, duration_ms, money, money_places, money_to, time_text
from cost_app.calendar import ONE_DAY, Period
from cost_app.spend.forecast import Forecast
from cost_app.spend.ranges import SpendView
from cost_app.spend.screens import Group, Spend, spend, totals_only
from cost_app.spend.series import TOP, CostMetrics, Totals, calendar_of, metrics_of
from cost_app.spend.spans import periods_between
from cost_app.spend.summary import Summary, summary

UNFINISHED = 0.45
"""Opacity of the unfinished period."""
LEGEND = {"orientation": "h", "y": -0.2, "traceorder": "normal"}
DOLLARS = {"type": "linear", "tickprefix": "$", "rangemode": "tozero", "nticks": 6}
FORMATS = {Period.HOURLY: "%H:%M", Period.MONTHLY: "%b %Y"}
ACCENT, BAND, LIMIT, EARLIER = "var(--series-1)", "var(--series-2)", "var(--bad)", "var(--text-faint)"
OTHERS_COLOR = "var(--series-low)"


def spend_chart(organization_id: int, view: SpendView) -> Chart:
    """Spend by period, stacked by the chosen grouping."""
    shown = spend(organization_id, view)
    traces = [
        {
            **_bars(group.name, shown, number),
            **_amounts([each.groups.get(group.value, Totals()).nano for each in shown.metrics]),
            "customdata": [
                [money(each.groups.get(group.value, Totals()).nano), _link(group, each, shown)]
                for each in shown.metrics
            ],
            "hovertemplate": "%{customdata[0]}",
        }
        for number, group in enumerate(shown.groups)
    ]
    figure = _figure([*traces, *_earlier(organization_id, shown)], shown, DOLLARS)
    return Chart(figure, _spend_table(shown))


def _spend_table(shown: Spend) -> Table:
    amounts = [[each.groups.get(group.value, Totals()).nano for group in shown.groups] for each in shown.metrics]
    places = money_places(each.totals.nano for each in shown.metrics)
    rows = [
        [_label(each, shown), *(money_to(nano, places) for nano in (*nanos, each.totals.nano))]
        for each, nanos in zip(reversed(shown.metrics), reversed(amounts), strict=True)
    ]
    columns = ["Period", *(group.name for group in shown.groups), "All"]
    note = f"Showing the {len(shown.groups) - 1} with the highest cost, of {shown.of}." if shown.hidden else ""
    return Table(columns, rows if shown.totals.calls else [], note)


def _earlier(organization_id: int, shown: Spend) -> list[Figure]:
    """The previous period as a line over this one, for as many periods as this one has."""
    if shown.earlier is None:
        return []
    nanos = [each.totals.nano for each in metrics_of(organization_id, shown.earlier, only=shown.view.only)]
    places = _places(shown)[: len(nanos)]
    line = _line("previous period", places, nanos[: len(places)], EARLIER)
    return [{**line, "line": {"color": EARLIER, "width": 2, "dash": "dot"}}]


def _link(group: Group, each: CostMetrics, shown: Spend) -> str:
    """Where a click on a bar leads: to the group's spend on those days; none for the others and for hours."""
    if group.view is None or shown.span.period is Period.HOURLY:
        return ""
    calendar = shown.span.calendar
    days = calendar.day_of(each.starts_at), calendar.day_of(each.ends_at) - ONE_DAY
    return f"{reverse('costs')}?{group.view.on_days(*days).query}"


def tokens_chart(organization_id: int, view: SpendView) -> Chart:
    """Tokens by class: cached ones cost a fraction of the others."""
    classes = {
        "input": "input_tokens",
        "cache read": "cache_read_tokens",
        "cache write": "cache_write_tokens",
        "output": "output_tokens",
    }
    return _counts(organization_id, view, {name: _column(column) for name, column in classes.items()})


def calls_chart(organization_id: int, view: SpendView) -> Chart:
    """Provider calls, cached answers, and failures."""
    kinds: dict[str, Callable[[Totals], int]] = {
        "answered": lambda totals: max(0, totals.calls - totals.errors - totals.cache_hits),
        "cached": lambda totals: totals.cache_hits,
        "failed": lambda totals: totals.errors,
    }
    return _counts(organization_id, view, kinds)


def latency_chart(organization_id: int, view: SpendView) -> Chart:
    """Average latency of an answered provider call, with gaps for periods without any."""
    shown = totals_only(organization_id, view)
    averages = [each.totals.average_latency_ms for each in shown.metrics]
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "average",
        "x": _places(shown),
        "y": [None if each is None else round(each / 1000, 3) for each in averages],
        "line": {"color": ACCENT, "width": 2},
        "marker": {"size": 4},
        "connectgaps": False,
        "hovertemplate": "%{y:,.2f} s",
    }
    has_some = any(each is not None for each in averages)
    rows = [[_label(each, shown), duration_ms(each.totals.average_latency_ms)] for each in reversed(shown.metrics)]
    figure = _figure([trace] if has_some else [], shown, {"rangemode": "tozero", "ticksuffix": " s"})
    return Chart(figure, Table(["Period", "Average"], rows if has_some else []))


def month_chart(organization_id: int, _view: SpendView) -> Chart:
    """Cumulative spend of the current month, its forecast, and the limit of the organization's budget."""
    month = summary(organization_id)
    calendar = calendar_of(organization_id)
    today = calendar.day_of(timezone.now())
    metrics = metrics_of(organization_id, periods_between(calendar, Period.DAILY, month.first, today))
    days, sums, total = [], [], 0
    for each in metrics:
        total += each.totals.nano
        days.append(calendar.day_of(each.starts_at).isoformat())
        sums.append(total)
    traces: list[Figure] = [
        {**_line("spent", days, sums, ACCENT), "fill": "tozeroy", "line": {"color": ACCENT, "width": 2}},
        *(_band(month.forecast) if month.forecast else []),
        *_limit(month),
    ]
    names = [day_text(each.starts_at) for each in metrics]
    rows = [[name, money(nano)] for name, nano in zip(names[::-1], sums[::-1], strict=True)]
    ends = [month.first.isoformat(), (month.end - ONE_DAY).isoformat()]
    axis = {"type": "date", "range": ends, "tickformat": "%b %-d"}
    layout = {"xaxis": axis, "yaxis": DOLLARS, "legend": LEGEND}
    note = _forecast_note(month.forecast)
    is_empty = not month.totals.calls
    return Chart({"data": [] if is_empty else traces, "layout": layout}, Table(["Up to", "Spent"], rows, note))


CHARTS: dict[str, Callable[[int, SpendView], Chart]] = {
    "spend": spend_chart,
    "month": month_chart,
    "tokens": tokens_chart,
    "calls": calls_chart,
    "latency": latency_chart,
}


def _column(name: str) -> Callable[[Totals], int]:
    return lambda totals: int(getattr(totals, name))


def _counts(organization_id: int, view: SpendView, kinds: dict[str, Callable[[Totals], int]]) -> Chart:
    shown = totals_only(organization_id, view)
    traces = [
        {
            **_bars(name, shown, number),
            "y": [count(each.totals) for each in shown.metrics],
            "hovertemplate": "%{y:,d}",
        }
        for number, (name, count) in enumerate(kinds.items())
    ]
    rows = [
        [_label(each, shown), *(f"{count(each.totals):,}" for count in kinds.values())]
        for each in reversed(shown.metrics)
    ]
    figure = _figure(traces, shown, {"rangemode": "tozero", "tickformat": "~s", "nticks": 6})
    return Chart(figure, Table(["Period", *kinds], rows if shown.totals.calls else []))


def _bars(name: str, shown: Spend, number: int) -> Figure:
    return {
        "type": "bar",
        "name": name,
        "x": _places(shown),
        "marker": {
            "color": f"var(--series-{number + 1})" if number < TOP else OTHERS_COLOR,
            "opacity": [1.0 if each.is_over else UNFINISHED for each in shown.metrics],
        },
    }


def _amounts(nanos: Sequence[int]) -> Figure:
    return {
        "y": [dollars(nano) for nano in nanos],
        "customdata": [money(nano) for nano in nanos],
        "hovertemplate": "%{customdata}",
    }


def _line(name: str, days: Sequence[str], nanos: Sequence[int], color: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": days,
        **_amounts(nanos),
        "line": {"color": color, "width": 1},
    }


def _band(found: Forecast) -> list[Figure]:
    days = [day.isoformat() for day, *_ in found.by_day]
    expected, low, high = (list(column) for column in list(zip(*found.by_day, strict=True))[1:])
    return [
        {**_line("at least", days, low, BAND), "line": {"color": BAND, "width": 0}, "showlegend": False},
        {
            **_line("at most", days, high, BAND),
            "fill": "tonexty",
            "line": {"color": BAND, "width": 0},
            "showlegend": False,
        },
        {**_line("forecast", days, expected, BAND), "line": {"color": BAND, "width": 2, "dash": "dot"}},
    ]


def _limit(month: Summary) -> list[Figure]:
    if month.month_budget is None:
        return []
    ends = [month.first.isoformat(), (month.end - ONE_DAY).isoformat()]
    trace = _line("budget", ends, [month.month_budget.limit_nano] * 2, LIMIT)
    return [{**trace, "line": {"color": LIMIT, "width": 1, "dash": "dash"}}]


def _forecast_note(found: Forecast | None) -> str:
    if found is None:
        return "Not enough history for a forecast. It needs 14 days."
    return (
        f"Expected at the end: {money(found.nano)}, with 80% confidence between {money(found.low_nano)} and "
        f"{money(found.high_nano)}; based on {found.days} days."
    )


def _figure(traces: list[Figure], shown: Spend, y_axis: Figure) -> Figure:
    x_axis: Figure = {"type": "date", "tickformat": FORMATS.get(shown.span.period, "%b %-d"), "nticks": 8}
    if _has_a_double_hour(shown):
        x_axis = {"type": "category", "nticks": 8}
    layout = {"xaxis": x_axis, "yaxis": y_axis, "legend": LEGEND, "barmode": "stack", "bargap": 0.25}
    return {"data": traces if shown.totals.calls else [], "layout": layout}


def _places(shown: Spend) -> list[str]:
    """Where each period is drawn. Plotly's dates have no offset: if an hour repeats, labels take their place."""
    return [_label(each, shown) if _has_a_double_hour(shown) else _stamp(each.starts_at) for each in shown.metrics]


def _has_a_double_hour(shown: Spend) -> bool:
    return len({_stamp(each.starts_at) for each in shown.metrics}) < len(shown.metrics)


def _stamp(moment: datetime) -> str:
    """A timestamp for Plotly: without an offset, so that it is displayed unchanged."""
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M:%S")


def _label(each: CostMetrics, shown: Spend) -> str:
    if shown.span.period is Period.HOURLY:
        return time_text(each.starts_at)
    is_month = shown.span.period is Period.MONTHLY
    return f"{timezone.localtime(each.starts_at):%b %Y}" if is_month else day_text(each.starts_at)

"""The chart of the providers page, and the same figures as a table. Times are in the active time zone."""

from datetime import datetime, timedelta

from django.utils import timezone

from aiinfra.charts import Chart, Figure, Table
from aiinfra.local_minutes import minute_text
from aiinfra.templatetags.formats import duration_ms
from cost_app import create_cost_optimizer

cost = create_cost_optimizer()

HOURS = 24
HOUR = timedelta(hours=1)
COLORS = 6
UNFINISHED = 0.45
"""Opacity of the current, unfinished hour."""


def latency_chart() -> Chart:
    """p95 of each model's answered calls by hour, with gaps for hours without calls. One query."""
    newest = timezone.now().replace(minute=0, second=0, microsecond=0)
    hours = [newest - HOUR * back for back in range(HOURS - 1, -1, -1)]
    p95s: dict[str, dict[datetime, float]] = {}
    for hour, models in cost.performance_by_hour(HOURS).items():
        for each in models:
            if each.p95 is not None:
                p95s.setdefault(f"{each.provider}/{each.model}", {})[hour] = each.p95
    names = sorted(p95s)
    labels = [minute_text(hour, timezone.get_current_timezone()) for hour in hours]
    x_axis: Figure = {"type": "date", "range": [_stamp(hours[0]), _stamp(newest + HOUR)], "tickformat": "%H:%M"}
    places = [_stamp(hour) for hour in hours]
    if len(set(places)) < len(places):  # Plotly's dates have no offset: if an hour repeats, labels take their place.
        x_axis, places = {"type": "category", "nticks": 8}, labels
    traces = [
        _trace(name, [p95s[name].get(hour) for hour in hours], places, number) for number, name in enumerate(names)
    ]
    layout = {
        "xaxis": x_axis,
        "yaxis": {"rangemode": "tozero", "ticksuffix": " s"},
        "legend": {"orientation": "h", "y": -0.2},
        "showlegend": True,
    }
    rows = [
        [label.replace("T", " "), *(duration_ms(p95s[name].get(hour)) for name in names)]
        for hour, label in zip(hours, labels, strict=True)
    ]
    return Chart({"data": traces, "layout": layout}, Table(["Hour", *names], rows[::-1] if names else []))


def _trace(name: str, p95s: list[float | None], places: list[str], number: int) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": places,
        "y": [None if p95 is None else round(p95 / 1000, 3) for p95 in p95s],
        "line": {"color": f"var(--series-{number % COLORS + 1})", "width": 2},
        "marker": {"size": 5, "opacity": [1.0] * (len(places) - 1) + [UNFINISHED]},
        "connectgaps": False,
        "hovertemplate": "%{y:,.2f} s",
    }


def _stamp(moment: datetime) -> str:
    """A timestamp for Plotly: without an offset, so that it is displayed unchanged."""
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M:%S")

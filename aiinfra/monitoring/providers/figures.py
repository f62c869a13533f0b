"""The chart of the providers page, and the same figures as a table. Times are in the active time zone."""

from datetime import datetime, timedelta

from django.utils import timezone

from aiinfra.charts import Chart, Table
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
    traces = [_trace(name, p95s[name], hours, number) for number, name in enumerate(names)]
    layout = {
        "xaxis": {"type": "date", "range": [_stamp(hours[0]), _stamp(newest + HOUR)], "tickformat": "%H:%M"},
        "yaxis": {"rangemode": "tozero", "ticksuffix": " s"},
        "legend": {"orientation": "h", "y": -0.2},
        "showlegend": True,
    }
    rows = [
        [_stamp(hour).replace("T", " ")[:16], *(duration_ms(p95s[name].get(hour)) for name in names)] for hour in hours
    ]
    return Chart({"data": traces, "layout": layout}, Table(["Hour", *names], rows[::-1] if names else []))


def _trace(name: str, p95: dict[datetime, float], hours: list[datetime], number: int) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [_stamp(hour) for hour in hours],
        "y": [round(p95[hour] / 1000, 3) if hour in p95 else None for hour in hours],
        "line": {"color": f"var(--series-{number % COLORS + 1})", "width": 2},
        "marker": {"size": 5, "opacity": [1.0] * (len(hours) - 1) + [UNFINISHED]},
        "connectgaps": False,
        "hovertemplate": "%{y:,.2f} s",
    }


def _stamp(moment: datetime) -> str:
    """A timestamp for Plotly: without an offset, so that it is displayed unchanged."""
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M:%S")

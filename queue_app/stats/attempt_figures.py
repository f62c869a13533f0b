"""The chart of failed provider calls: an outage shows here before a request fails."""

from datetime import datetime, timedelta

from django.utils import timezone

from aiinfra.charts import Chart, Figure, Table
from cost_app import create_cost_optimizer
from queue_app.stats.axes import MINUTE, UNFINISHED, counts_axis, minute_text, stamp, timed_figure

cost = create_cost_optimizer()

COLORS = 6
MINUTES = 60
Failed = dict[str, dict[datetime, int]]
"""`provider/model` -> minute -> failed calls."""


def attempts_chart(_organization_id: int) -> Chart:
    """Failed provider calls per minute and model, including those whose request was answered later. One query."""
    newest = timezone.now().replace(second=0, microsecond=0)
    minutes = [newest - MINUTE * back for back in range(MINUTES - 1, -1, -1)]
    failed = _failed()
    names = sorted(failed)
    traces = [_trace(name, failed[name], minutes, number) for number, name in enumerate(names)]
    rows = [[minute_text(minute), *(failed[name].get(minute, 0) for name in names)] for minute in reversed(minutes)]
    peak = max(sum(failed[name].get(minute, 0) for name in names) for minute in minutes)
    figure = timed_figure(traces, counts_axis(peak), has_some=bool(failed))
    figure["layout"] |= {"barmode": "stack", "bargap": 0.2, "showlegend": True}
    return Chart(figure, Table(["Minute", *names], rows if names else []))


def _failed() -> Failed:
    failed: Failed = {}
    for row in cost.model_minutes(timedelta(minutes=MINUTES)):
        if row.failures:
            failed.setdefault(f"{row.provider}/{row.model}", {})[row.minute] = row.failures
    return failed


def _trace(name: str, counts: dict[datetime, int], minutes: list[datetime], number: int) -> Figure:
    return {
        "type": "bar",
        "name": name,
        "x": [stamp(minute) for minute in minutes],
        "y": [counts.get(minute, 0) for minute in minutes],
        "marker": {
            "color": f"var(--series-{number % COLORS + 1})",
            "opacity": [1.0] * (len(minutes) - 1) + [UNFINISHED],
        },
        "hovertemplate": "%{y:,d}",
    }

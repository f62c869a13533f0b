"""The queue's charts as Plotly dicts, each with the same figures as a table.

Times are in the active time zone, which is the organization's. Every chart shows the last hour.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from aiinfra.charts import Chart, Figure, Table
from aiinfra.templatetags.formats import duration_ms
from queue_app.models import Priority, QueueMinute
from queue_app.stats.attempt_figures import attempts_chart
from queue_app.stats.axes import (
    HOUR,
    LEGEND,
    MINUTE,
    UNFINISHED,
    clock,
    counts_axis,
    local,
    minute_text,
    stamp,
    timed_figure,
)
from queue_app.stats.depth_history import DepthSample, depth_samples
from queue_app.stats.outcome_counts import Outcomes
from queue_app.stats.tenant_load import OrganizationLoad, top_loads

DEPTH_STEP_S = 15
"""Distance between points of the depth chart; the 5 s samples are more than a screen can show for an hour."""
PRIORITIES = sorted(Priority, reverse=True)
HELD, HELD_COLOR = "held for a retry", "var(--series-held)"
WAIT_COLOR, RUN_COLOR = "var(--series-2)", "var(--series-4)"


@dataclass
class Minute:
    """What ended within one minute."""

    at: datetime
    lanes: dict[int, Outcomes] = field(default_factory=lambda: {weight: Outcomes() for weight in Priority.values})

    @property
    def total(self) -> Outcomes:
        """All priorities together."""
        total = Outcomes()
        for outcomes in self.lanes.values():
            total.merge(outcomes)
        return total


def depth_chart(organization_id: int) -> Chart:
    """Requests that could start, stacked by priority, with those held for a retry on top. Raises RedisError."""
    samples = depth_samples(organization_id)
    points = _last_sample_of_each_step(samples, DEPTH_STEP_S)
    x = [local(point.at) for point in points]
    ready = [
        _depth_trace(priority.name.lower(), x, [point.depth.get(priority, 0) for point in points], _color(priority))
        for priority in PRIORITIES
    ]
    held = _depth_trace(HELD, x, [point.held for point in points], HELD_COLOR)
    peak = max((point.waiting for point in points), default=0)
    rows = [
        [clock(each.at), *(each.depth.get(priority, 0) for priority in PRIORITIES), each.held, each.waiting]
        for each in reversed(_last_sample_of_each_step(samples, 60))
    ]
    table = Table(["Time", *_lane_names(), HELD.capitalize(), "All"], rows)
    return Chart(timed_figure([*ready, held], counts_axis(peak), has_some=peak > 0), table)


def _depth_trace(name: str, x: Sequence[str], counts: Sequence[int], color: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "stackgroup": "depth",
        "name": name,
        "x": x,
        "y": counts,
        "line": {"color": color, "width": 1.5, "shape": "hv"},
        "hovertemplate": "%{y:,d}",
    }


def throughput_chart(_organization_id: int) -> Chart:
    """Completed and failed requests per minute and priority. One query."""
    return _counts_chart(lambda outcomes: outcomes.completed + outcomes.failed)


def errors_chart(_organization_id: int) -> Chart:
    """Failed requests per minute and priority. One query."""
    return _counts_chart(lambda outcomes: outcomes.failed)


def times_chart(_organization_id: int) -> Chart:
    """Average wait and run time of what ended in each minute, with gaps where nothing did. One query."""
    minutes = _last_hour()
    waits = [_average(minute.total.wait_ms, minute.total.started) for minute in minutes]
    runs = [_average(minute.total.run_ms, minute.total.started) for minute in minutes]
    x = [stamp(minute.at) for minute in minutes]
    traces = [_time_trace("wait", x, waits, WAIT_COLOR), _time_trace("run", x, runs, RUN_COLOR)]
    rows = [
        [minute_text(each.at), duration_ms(wait), duration_ms(run), each.total.started]
        for each, wait, run in zip(minutes, waits, runs, strict=True)
    ]
    axis = {"rangemode": "tozero", "ticksuffix": " s"}
    table = Table(["Minute", "Average wait", "Average run", "Requests"], rows[::-1])
    return Chart(timed_figure(traces, axis, has_some=any(each.total.started for each in minutes)), table)


def organizations_chart(_organization_id: int) -> Chart:
    """Where the load comes from, across all organizations: for staff. Three queries; raises RedisError."""
    loads, total = top_loads()
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": priority.name.lower(),
            "x": [load.depth.get(priority, 0) for load in loads],
            "y": [load.name for load in loads],
            "marker": {"color": _color(priority)},
            "hovertemplate": "%{x:,d}",
        }
        for priority in PRIORITIES
    ]
    peak = max((load.waiting for load in loads), default=0)
    layout = {
        "barmode": "stack",
        "bargap": 0.35,
        "hovermode": "y unified",
        "legend": LEGEND,
        "xaxis": counts_axis(peak),
        "yaxis": {"autorange": "reversed", "type": "category"},
    }
    columns = ["Organization", "Waiting", "Ended", "Failed", "Average wait", "Average run"]
    table = Table(
        columns, [_load_row(load) for load in loads], f"Showing {len(loads)} of {total}, for the last 15 minutes."
    )
    return Chart({"data": traces if peak else [], "layout": layout}, table)


CHARTS: dict[str, Callable[[int], Chart]] = {
    "depth": depth_chart,
    "throughput": throughput_chart,
    "attempts": attempts_chart,
    "errors": errors_chart,
    "times": times_chart,
}
STAFF_CHARTS = {"organizations": organizations_chart}


def _counts_chart(count: Callable[[Outcomes], int]) -> Chart:
    minutes = _last_hour()
    x = [stamp(minute.at) for minute in minutes]
    opacity = [1.0] * (len(minutes) - 1) + [UNFINISHED]
    traces = [
        {
            **_lane_trace(priority, x),
            "type": "bar",
            "y": [count(minute.lanes[priority]) for minute in minutes],
            "marker": {"color": _color(priority), "opacity": opacity},
        }
        for priority in PRIORITIES
    ]
    peak = max(count(minute.total) for minute in minutes)
    rows = [
        [minute_text(minute.at), *(count(minute.lanes[priority]) for priority in PRIORITIES), count(minute.total)]
        for minute in reversed(minutes)
    ]
    figure = timed_figure(traces, counts_axis(peak), has_some=peak > 0)
    figure["layout"] |= {"barmode": "stack", "bargap": 0.2}
    return Chart(figure, Table(["Minute", *_lane_names(), "All"], rows))


def _last_hour() -> list[Minute]:
    """Sixty minutes, the current one last; minutes without a row are empty."""
    newest = timezone.now().replace(second=0, microsecond=0)
    minutes = {newest - MINUTE * back: Minute(newest - MINUTE * back) for back in range(59, -1, -1)}
    rows = QueueMinute.objects.filter(minute__gt=newest - HOUR)
    for at, weight, *counts in rows.values_list("minute", "priority", *Outcomes.NAMES):
        if at in minutes:
            minutes[at].lanes[weight].merge(Outcomes(*counts))
    return list(minutes.values())


def _last_sample_of_each_step(samples: Sequence[DepthSample], step_s: int) -> list[DepthSample]:
    """The last sample of each step: a point does not move when newer samples arrive."""
    return list({sample.at // step_s: sample for sample in samples}.values())


def _lane_trace(priority: Priority, x: Sequence[str]) -> Figure:
    return {"name": priority.name.lower(), "x": x, "hovertemplate": "%{y:,d}"}


def _time_trace(name: str, x: Sequence[str], milliseconds: Sequence[float | None], color: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": x,
        "y": [None if each is None else round(each / 1000, 3) for each in milliseconds],
        "line": {"color": color, "width": 2},
        "marker": {"size": 4, "opacity": [1.0] * (len(x) - 1) + [UNFINISHED]},
        "connectgaps": False,
        "hovertemplate": "%{y:,.2f} s",
    }


def _load_row(load: OrganizationLoad) -> list[object]:
    ended = load.ended
    waited, ran = _average(ended.wait_ms, ended.started), _average(ended.run_ms, ended.started)
    done = ended.completed + ended.failed
    return [load.name, load.waiting, done, ended.failed, duration_ms(waited), duration_ms(ran)]


def _average(total: int, count: int) -> float | None:
    return total / count if count else None


def _color(priority: Priority) -> str:
    """The page's script replaces it with the theme's color."""
    return f"var(--series-{priority.name.lower()})"


def _lane_names() -> list[str]:
    return [priority.label for priority in PRIORITIES]

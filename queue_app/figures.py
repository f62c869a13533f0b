"""The charts of the queue as Plotly dicts, each with the same figures as a table.

Times are those of the active time zone, which is the organization's. Every chart shows the last hour.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from aiinfra.charts import Chart, Figure, Table
from aiinfra.templatetags.formats import duration_ms
from queue_app.counts import Outcomes
from queue_app.depth_history import DepthSample, depth_samples
from queue_app.loads import OrganizationLoad, top_loads
from queue_app.models import Priority, QueueMinute

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DEPTH_STEP_S = 15
"""Distance of the points of the depth chart; a sample is taken every 5 s, more than a screen shows of an hour."""
LEAST_PEAK = 5
"""Where the vertical axis ends at least, so that counts are labelled with whole numbers."""
SHORTEST_WINDOW = timedelta(minutes=15)
"""Where there is less than an hour to show, the axis begins with the first of it, but shows this much at least."""
LEGEND = {"orientation": "h", "y": -0.2, "traceorder": "normal"}
UNFINISHED = 0.45
"""Opacity of the minute that is not over."""
PRIORITIES = sorted(Priority, reverse=True)
WAIT_COLOUR, RUN_COLOUR = "var(--series-2)", "var(--series-4)"


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
    """Requests that could start, stacked by priority. Raises RedisError."""
    samples = depth_samples(organization_id)
    points = _last_in_each(samples, DEPTH_STEP_S)
    traces = [
        {
            **_lane_trace(priority, [_local(point.at) for point in points]),
            "type": "scatter",
            "mode": "lines",
            "stackgroup": "depth",
            "y": [point.depth.get(priority, 0) for point in points],
            "line": {"color": _colour(priority), "width": 1.5, "shape": "hv"},
        }
        for priority in PRIORITIES
    ]
    peak = max((sum(point.depth.values()) for point in points), default=0)
    rows = [
        [_clock(sample.at), *(sample.depth.get(priority, 0) for priority in PRIORITIES), sum(sample.depth.values())]
        for sample in reversed(_last_in_each(samples, 60))
    ]
    deep = [_moment(point.at) for point in points if any(point.depth.values())]
    return Chart(_figure(traces, _counts_axis(peak), deep), Table(["Time", *_lane_names(), "All"], rows))


def throughput_chart(_organization_id: int) -> Chart:
    """Requests that completed or failed, a minute and priority. One query."""
    return _counts_chart(lambda outcomes: outcomes.completed + outcomes.failed)


def errors_chart(_organization_id: int) -> Chart:
    """Requests that failed, a minute and priority. One query."""
    return _counts_chart(lambda outcomes: outcomes.failed)


def times_chart(_organization_id: int) -> Chart:
    """Average wait and run time of what ended in each minute, with gaps where nothing did. One query."""
    minutes = _last_hour()
    waits = [_average(minute.total.wait_ms, minute.total.started) for minute in minutes]
    runs = [_average(minute.total.run_ms, minute.total.started) for minute in minutes]
    x = [_stamp(minute.at) for minute in minutes]
    traces = [_time_trace("wait", x, waits, WAIT_COLOUR), _time_trace("run", x, runs, RUN_COLOUR)]
    rows = [
        [_minute(each.at), duration_ms(wait), duration_ms(run), each.total.started]
        for each, wait, run in zip(minutes, waits, runs, strict=True)
    ]
    axis = {"rangemode": "tozero", "ticksuffix": " s"}
    table = Table(["Minute", "Average wait", "Average run", "Requests"], rows[::-1])
    return Chart(_figure(traces, axis, _busy(minutes)), table)


def organizations_chart(_organization_id: int) -> Chart:
    """Where the load comes from, over all organizations: for staff. Three queries; raises RedisError."""
    loads, total = top_loads()
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": priority.name.lower(),
            "x": [load.depth.get(priority, 0) for load in loads],
            "y": [load.name for load in loads],
            "marker": {"color": _colour(priority)},
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
        "xaxis": _counts_axis(peak),
        "yaxis": {"autorange": "reversed", "type": "category"},
    }
    columns = ["Organization", "Waiting", "Ended", "Failed", "Average wait", "Average run"]
    table = Table(
        columns, [_load_row(load) for load in loads], f"Showing {len(loads)} of {total}, the last 15 minutes."
    )
    return Chart({"data": traces if peak else [], "layout": layout}, table)


CHARTS: dict[str, Callable[[int], Chart]] = {
    "depth": depth_chart,
    "throughput": throughput_chart,
    "errors": errors_chart,
    "times": times_chart,
}
STAFF_CHARTS = {"organizations": organizations_chart}


def _counts_chart(count: Callable[[Outcomes], int]) -> Chart:
    minutes = _last_hour()
    x = [_stamp(minute.at) for minute in minutes]
    opacity = [1.0] * (len(minutes) - 1) + [UNFINISHED]
    traces = [
        {
            **_lane_trace(priority, x),
            "type": "bar",
            "y": [count(minute.lanes[priority]) for minute in minutes],
            "marker": {"color": _colour(priority), "opacity": opacity},
        }
        for priority in PRIORITIES
    ]
    peak = max(count(minute.total) for minute in minutes)
    rows = [
        [_minute(minute.at), *(count(minute.lanes[priority]) for priority in PRIORITIES), count(minute.total)]
        for minute in reversed(minutes)
    ]
    figure = _figure(traces, _counts_axis(peak), _busy(minutes) if peak else [])
    figure["layout"] |= {"barmode": "stack", "bargap": 0.2}
    return Chart(figure, Table(["Minute", *_lane_names(), "All"], rows))


def _last_hour() -> list[Minute]:
    """Sixty minutes, the running one last; those without a row are empty."""
    newest = timezone.now().replace(second=0, microsecond=0)
    minutes = {newest - MINUTE * back: Minute(newest - MINUTE * back) for back in range(59, -1, -1)}
    rows = QueueMinute.objects.filter(minute__gt=newest - HOUR)
    for at, weight, *counts in rows.values_list("minute", "priority", *Outcomes.NAMES):
        if at in minutes:
            minutes[at].lanes[weight].merge(Outcomes(*counts))
    return list(minutes.values())


def _busy(minutes: Iterable[Minute]) -> list[datetime]:
    """The minutes in which something ended: all charts of minutes begin with the first of them."""
    return [minute.at for minute in minutes if minute.total.completed + minute.total.failed]


def _last_in_each(samples: Sequence[DepthSample], step_s: int) -> list[DepthSample]:
    """The last sample of each step; a point stays where it is when newer ones come."""
    return list({sample.at // step_s: sample for sample in samples}.values())


def _figure(traces: list[Figure], y_axis: Figure, since: Iterable[datetime]) -> Figure:
    """`since` are the moments that have something to show; without one nothing is drawn."""
    moments = list(since)
    x_axis = {"type": "date", "range": _window(moments), "tickformat": "%H:%M", "hoverformat": "%H:%M:%S"}
    return {"data": traces if moments else [], "layout": {"xaxis": x_axis, "yaxis": y_axis, "legend": LEGEND}}


def _window(moments: Sequence[datetime]) -> list[str]:
    """From the first moment on; half a minute more on both sides, for bars are as wide as a minute."""
    now = timezone.now()
    return [_stamp(min([*moments, now - SHORTEST_WINDOW]) - MINUTE / 2), _stamp(now + MINUTE / 2)]


def _lane_trace(priority: Priority, x: Sequence[str]) -> Figure:
    return {"name": priority.name.lower(), "x": x, "hovertemplate": "%{y:,d}"}


def _time_trace(name: str, x: Sequence[str], milliseconds: Sequence[float | None], colour: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": x,
        "y": [None if each is None else round(each / 1000, 3) for each in milliseconds],
        "line": {"color": colour, "width": 2},
        "marker": {"size": 4, "opacity": [1.0] * (len(x) - 1) + [UNFINISHED]},
        "connectgaps": False,
        "hovertemplate": "%{y:,.2f} s",
    }


def _counts_axis(peak: int) -> Figure:
    return {"range": [0, max(LEAST_PEAK, peak * 1.08)], "tickformat": ",d", "nticks": 6}


def _load_row(load: OrganizationLoad) -> list[object]:
    ended = load.ended
    waited, ran = _average(ended.wait_ms, ended.started), _average(ended.run_ms, ended.started)
    done = ended.completed + ended.failed
    return [load.name, load.waiting, done, ended.failed, duration_ms(waited), duration_ms(ran)]


def _average(total: int, count: int) -> float | None:
    return total / count if count else None


def _colour(priority: Priority) -> str:
    """The page's script puts the theme's colour in its place."""
    return f"var(--series-{priority.name.lower()})"


def _lane_names() -> list[str]:
    return [priority.label for priority in PRIORITIES]


def _stamp(moment: datetime) -> str:
    """As Plotly reads it: without an offset, so that it is shown as it is written."""
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M:%S")


def _local(at: float) -> str:
    return _stamp(_moment(at))


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _clock(at: float) -> str:
    return timezone.localtime(_moment(at)).strftime("%H:%M:%S")


def _minute(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%H:%M")

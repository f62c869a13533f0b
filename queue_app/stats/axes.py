"""Shared parts of the queue's charts: axes and times in the active time zone."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from aiinfra.charts import Figure

MINUTE = timedelta(minutes=1)
LEAST_PEAK = 5
"""Minimum end of the vertical axis, so that counts get whole-number labels."""
SHORTEST_WINDOW = timedelta(minutes=15)
"""With less than an hour of data the axis starts at the first point, but covers at least this much."""
LEGEND = {"orientation": "h", "y": -0.2, "traceorder": "normal"}
UNFINISHED = 0.45
"""Opacity of the unfinished minute."""


def timed_figure(traces: list[Figure], y_axis: Figure, since: Iterable[datetime]) -> Figure:
    """`since` are the moments with data; without any, nothing is drawn."""
    moments = list(since)
    x_axis = {"type": "date", "range": _window(moments), "tickformat": "%H:%M", "hoverformat": "%H:%M:%S"}
    return {"data": traces if moments else [], "layout": {"xaxis": x_axis, "yaxis": y_axis, "legend": LEGEND}}


def _window(moments: Sequence[datetime]) -> list[str]:
    """From the first moment on, with half a minute extra on both sides because bars are a minute wide."""
    now = timezone.now()
    return [stamp(min([*moments, now - SHORTEST_WINDOW]) - MINUTE / 2), stamp(now + MINUTE / 2)]


def counts_axis(peak: int) -> Figure:
    """From 0 to slightly above the peak."""
    return {"range": [0, max(LEAST_PEAK, peak * 1.08)], "tickformat": ",d", "nticks": 6}


def stamp(moment: datetime) -> str:
    """As Plotly reads it: without an offset, so that the time is displayed unchanged.

    All have the current offset: after the clocks went back, the minutes before would lie on those after.
    """
    offset = timezone.localtime().utcoffset() or timedelta()
    return (moment.astimezone(UTC) + offset).strftime("%Y-%m-%dT%H:%M:%S")


def local(at: float) -> str:
    """A Unix time for Plotly."""
    return stamp(moment_of(at))


def moment_of(at: float) -> datetime:
    """A Unix time as an instant."""
    return datetime.fromtimestamp(at, UTC)


def clock(at: float) -> str:
    """A Unix time to the second, for a table."""
    return timezone.localtime(moment_of(at)).strftime("%H:%M:%S")


def minute_text(moment: datetime) -> str:
    """To the minute, for a table."""
    return timezone.localtime(moment).strftime("%H:%M")

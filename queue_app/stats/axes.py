"""What the queue's charts have in common: axes and times, which are those of the active time zone."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from aiinfra.charts import Figure

MINUTE = timedelta(minutes=1)
LEAST_PEAK = 5
"""Where the vertical axis ends at least, so that counts are labelled with whole numbers."""
SHORTEST_WINDOW = timedelta(minutes=15)
"""Where there is less than an hour to show, the axis begins with the first of it, but shows this much at least."""
LEGEND = {"orientation": "h", "y": -0.2, "traceorder": "normal"}
UNFINISHED = 0.45
"""Opacity of the minute that is not over."""


def timed_figure(traces: list[Figure], y_axis: Figure, since: Iterable[datetime]) -> Figure:
    """`since` are the moments that have something to show; without one nothing is drawn."""
    moments = list(since)
    x_axis = {"type": "date", "range": _window(moments), "tickformat": "%H:%M", "hoverformat": "%H:%M:%S"}
    return {"data": traces if moments else [], "layout": {"xaxis": x_axis, "yaxis": y_axis, "legend": LEGEND}}


def _window(moments: Sequence[datetime]) -> list[str]:
    """From the first moment on; half a minute more on both sides, for bars are as wide as a minute."""
    now = timezone.now()
    return [stamp(min([*moments, now - SHORTEST_WINDOW]) - MINUTE / 2), stamp(now + MINUTE / 2)]


def counts_axis(peak: int) -> Figure:
    """From 0 to a little above the peak."""
    return {"range": [0, max(LEAST_PEAK, peak * 1.08)], "tickformat": ",d", "nticks": 6}


def stamp(moment: datetime) -> str:
    """As Plotly reads it: without an offset, so that it is shown as it is written."""
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M:%S")


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

"""Shared parts of the queue's charts: axes and times in the active time zone."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone

from aiinfra.charts import Figure

MINUTE = timedelta(minutes=1)
PEAK_MIN = 5
"""Minimum end of the vertical axis, so that counts get whole-number labels."""
HOUR = timedelta(hours=1)
"""The charts show the last hour, whatever happened in it, so that charts above each other have the same axis."""
LEGEND = {"orientation": "h", "y": -0.2, "traceorder": "normal"}
UNFINISHED = 0.45
"""Opacity of the unfinished minute."""


def timed_figure(traces: list[Figure], y_axis: Figure, *, has_some: bool) -> Figure:
    """The traces over the last hour; without data, nothing is drawn."""
    x_axis = {"type": "date", "range": _window(), "tickformat": "%H:%M", "hoverformat": "%H:%M:%S"}
    return {"data": traces if has_some else [], "layout": {"xaxis": x_axis, "yaxis": y_axis, "legend": LEGEND}}


def _window() -> list[str]:
    """The last hour, with half a minute extra on both sides because bars are a minute wide."""
    now = timezone.now()
    return [stamp(now - HOUR - MINUTE / 2), stamp(now + MINUTE / 2)]


def counts_axis(peak: int) -> Figure:
    """From 0 to slightly above the peak."""
    return {"range": [0, max(PEAK_MIN, peak * 1.08)], "tickformat": ",d", "nticks": 6}


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

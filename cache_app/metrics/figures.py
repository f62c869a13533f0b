"""The cache's charts as Plotly dicts, each with the same figures as a table.

Days are in the active time zone, which is the organization's.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date

from django.utils import timezone

from aiinfra.charts import Chart, Figure, Table
from aiinfra.templatetags.formats import day_text
from cache_app.embedding.registry import configured_embedder
from cache_app.metrics import counts
from cache_app.metrics.ranges import DayRange
from cache_app.metrics.reasons import refusals
from cache_app.metrics.screens import present_threshold
from cache_app.models import CountSpan, Layer

UNFINISHED = 0.45
"""Opacity of the unfinished day."""
LEGEND = {"orientation": "h", "y": -0.2, "traceorder": "normal"}
COUNTS = {"rangemode": "tozero", "tickformat": "~s"}
FEW = 6
"""Up to this value each whole number has its own tick; Plotly would label halves."""
OUTCOMES = {
    "exact": (f"hit:{Layer.EXACT}", "var(--series-1)"),
    "semantic": (f"hit:{Layer.SEMANTIC}", "var(--series-2)"),
    "shared call": (f"hit:{Layer.FLIGHT}", "var(--series-6)"),
}
SHADOW, MISS = ("in shadow mode", "var(--series-4)"), ("miss", "var(--series-low)")
FATES = {
    "served": ("served", "var(--series-2)"),
    "refused by a guard": ("refused", "var(--series-3)"),
    "below the threshold": ("below", "var(--series-low)"),
}
THRESHOLD_COLOR = "var(--bad)"
FULL = 100


def outcomes_chart(organization_id: int, view: DayRange) -> Chart:
    """Lookups of each day by outcome. One query."""
    dates = view.dates()
    counted = _by_date(organization_id, view)
    days = [_outcomes(counted[day]) for day in dates]
    shown = [name for name in (*OUTCOMES, SHADOW[0], MISS[0]) if name != SHADOW[0] or any(day[name] for day in days)]
    colors = {**{name: color for name, (_, color) in OUTCOMES.items()}, **dict([SHADOW, MISS])}
    traces = [_bars(name, colors[name], dates, [day[name] for day in days]) for name in shown]
    rows = [[day_text(at), *(f"{day[name]:,}" for name in shown)] for at, day in zip(dates, days, strict=True)]
    has_some = any(sum(day.values()) for day in days)
    axis = {"type": "date", "tickformat": "%b %-d", "nticks": 8}
    counts_axis = _counts_axis([sum(day.values()) for day in days])
    layout = {"xaxis": axis, "yaxis": counts_axis, "legend": LEGEND, "barmode": "stack", "bargap": 0.25}
    table = Table(["Day", *(name.capitalize() for name in shown)], rows[::-1] if has_some else [])
    return Chart({"data": traces if has_some else [], "layout": layout}, table)


def _by_date(organization_id: int, view: DayRange) -> dict[date, Counter[str]]:
    """Days counted before the organization changed its time zone count for the date on which they began."""
    names = [counts.LOOKUP, *(name for name, _ in OUTCOMES.values()), *(f"shadow:{layer}" for layer in Layer)]
    found: dict[date, Counter[str]] = defaultdict(Counter)
    for starts_at, counted in counts.series(organization_id, names, CountSpan.DAY, view.since).items():
        found[timezone.localtime(starts_at).date()].update(counted)
    return found


def _outcomes(found: Mapping[str, int]) -> dict[str, int]:
    """Counts by outcome. Lookups may have been lost with Redis; hits are rows and were not."""
    hits = {name: found.get(count, 0) for name, (count, _) in OUTCOMES.items()}
    shadow = counts.sum_of(found, "shadow:")
    missed = found.get(counts.LOOKUP, 0) - sum(hits.values()) - shadow
    return {**hits, SHADOW[0]: shadow, MISS[0]: max(0, missed)}


def similarity_chart(organization_id: int, view: DayRange) -> Chart:
    """Similarity of the best candidates and their outcomes, with the current threshold. Two queries."""
    found = counts.totals(organization_id, view.since)
    threshold = present_threshold(organization_id)
    percents = range(round(configured_embedder().scale.near * FULL), FULL + 1)
    by_fate = {name: counts.histogram(found, fate) for name, (fate, _) in FATES.items()}
    traces: list[Figure] = [
        {
            "type": "bar",
            "name": name,
            "x": [percent / FULL for percent in percents],
            "y": [by_fate[name].get(percent, 0) for percent in percents],
            "width": 1 / FULL,
            "offset": 0,
            "marker": {"color": color},
            "hovertemplate": "%{y:,d}",
        }
        for name, (_, color) in FATES.items()
    ]
    rows = [
        [f"{percent / FULL:.2f}", *(f"{by_fate[name].get(percent, 0):,}" for name in FATES)]
        for percent in reversed(percents)
    ]
    layout = {
        "xaxis": {"type": "linear", "tickformat": ".2f", "nticks": 7, "range": [percents[0] / FULL, (FULL + 1) / FULL]},
        "yaxis": _counts_axis([sum(by_fate[name].get(percent, 0) for name in FATES) for percent in percents]),
        "legend": LEGEND,
        "barmode": "stack",
        **_threshold_line(threshold),
    }
    has_some = any(map(bool, by_fate.values()))
    note = f"The threshold is {threshold:.2f}. Only the best candidate of each lookup counts."
    table = Table(["Minimum similarity", *(name.capitalize() for name in FATES)], rows if has_some else [], note)
    return Chart({"data": traces if has_some else [], "layout": layout}, table)


def _threshold_line(threshold: float) -> Figure:
    """A bar counts everything from its percent up to the next, and is drawn over that range."""
    line = {"color": THRESHOLD_COLOR, "width": 1, "dash": "dash"}
    words = {"text": f"threshold {threshold:.2f}", "showarrow": False, "font": {"color": THRESHOLD_COLOR}}
    return {
        "shapes": [{"type": "line", "x0": threshold, "x1": threshold, "y0": 0, "y1": 1, "yref": "paper", "line": line}],
        "annotations": [
            {**words, "x": threshold, "y": 1, "yref": "paper", "xanchor": "right", "yanchor": "top", "xshift": -4}
        ],
    }


def refusals_chart(organization_id: int, view: DayRange) -> Chart:
    """Why the cache did not answer although something was there, the most frequent reason on top. One query."""
    rows = refusals(counts.totals(organization_id, view.since))
    trace = {
        "type": "bar",
        "orientation": "h",
        "name": "not served",
        "y": [row.label for row in reversed(rows)],
        "x": [row.count for row in reversed(rows)],
        "customdata": [row.explanation for row in reversed(rows)],
        "marker": {"color": "var(--series-3)"},
        "hovertemplate": "%{x:,d}<br>%{customdata}<extra></extra>",
    }
    axis = {**_counts_axis([row.count for row in rows], ticks=4), "tickangle": 0}
    layout = {"xaxis": axis, "yaxis": {"type": "category"}, "hovermode": "closest", "showlegend": False}
    cells = [[f"{row.label}: {row.explanation}" if row.explanation else row.label, f"{row.count:,}"] for row in rows]
    return Chart({"data": [trace] if rows else [], "layout": layout}, Table(["Reason", "Lookups"], cells))


CHARTS: dict[str, Callable[[int, DayRange], Chart]] = {
    "outcomes": outcomes_chart,
    "similarity": similarity_chart,
    "refusals": refusals_chart,
}
TITLES = {"outcomes": "Lookups", "similarity": "Similarity", "refusals": "Not served, by reason"}


def _counts_axis(counted: Sequence[int], *, ticks: int = 6) -> Figure:
    """An axis for bars of these heights."""
    if max(counted, default=0) < FEW:
        return {**COUNTS, "dtick": 1}
    return {**COUNTS, "nticks": ticks}


def _bars(name: str, color: str, dates: list[date], counted: list[int]) -> Figure:
    return {
        "type": "bar",
        "name": name,
        "x": [day.isoformat() for day in dates],
        "y": counted,
        "marker": {"color": color, "opacity": [1.0] * (len(dates) - 1) + [UNFINISHED]},
        "hovertemplate": "%{y:,d}",
    }

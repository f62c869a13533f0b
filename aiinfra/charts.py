"""A chart: a Plotly figure as a dict, and the same data as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Figure = dict[str, Any]

MARKUP = {"hovertemplate", "texttemplate"}
"""Members that contain our own markup. Never put a name here; use `name` or `customdata`."""


@dataclass(frozen=True)
class Table:
    """A chart's data as text; `note` says what is left out."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """A Plotly figure and its table."""

    figure: Figure
    table: Table


def escaped_figure(value: Any) -> Any:
    """The figure with all text escaped, so that Plotly shows it literally.

    Plotly renders links, bold text and entities in legends, labels and hover text, and users choose some of the names
    there. The second item of a point's `customdata` is its click URL, which is never shown.
    """
    if isinstance(value, dict):
        return {key: inner if key in MARKUP else _member(key, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [escaped_figure(inner) for inner in value]
    return _escaped(value) if isinstance(value, str) else value


def _member(key: str, value: Any) -> Any:
    if key != "customdata" or not isinstance(value, list | tuple):
        return escaped_figure(value)
    return [
        [escaped_figure(point[0]), *point[1:]] if isinstance(point, list | tuple) and point else escaped_figure(point)
        for point in value
    ]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

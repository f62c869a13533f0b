"""A chart: a Plotly figure as a dict, and the same figures as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Figure = dict[str, Any]

MARKUP = {"hovertemplate", "texttemplate"}
"""What we write as markup ourselves. Never put a name into it: it belongs into `name` or `customdata`."""


@dataclass(frozen=True)
class Table:
    """A chart's figures as text; `note` says what is left out."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """A Plotly figure and its table."""

    figure: Figure
    table: Table


def escaped_figure(value: Any) -> Any:
    """The figure with every text in the form in which Plotly shows it literally.

    Plotly renders links, bold text and entities in legends, labels and hover texts, whoever named the thing that they
    show. The second item of a point's `customdata` is the URL of a click, which is never shown.
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

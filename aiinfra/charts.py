"""A chart: a Plotly figure as a dict, and the same figures as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Figure = dict[str, Any]


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

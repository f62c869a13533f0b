"""What a chart is, whatever it shows: a Plotly figure as a dict, and the same figures as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Figure = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """The same figures in words; `note` says what is left out."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """One chart: what Plotly draws, and its table."""

    figure: Figure
    table: Table

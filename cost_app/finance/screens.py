"""Months and imports as the finance pages show them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cost_app.finance.month_close import CloseState, close_states, figure
from cost_app.finance.months import Month, months_of
from cost_app.finance.statement import SECTIONS, Line
from cost_app.models import Dimension, InvoiceImport, InvoiceLine, MonthClose, UsageDay

LINES_A_PAGE = 100


@dataclass(frozen=True)
class MonthRow:
    """One month of the list. Amounts in nano-dollars."""

    month: Month
    nano: int
    calls: int
    closed: CloseState | None


def month_rows(organization_id: int) -> list[MonthRow]:
    """The months that have statements, newest first; six queries, whatever their number."""
    months = months_of(organization_id)
    if not months:
        return []
    closed = close_states(organization_id)
    days = list(
        UsageDay.objects.filter(dimension=Dimension.TOTAL, day__gte=months[-1].first_day).values_list(
            "day", "nano", "calls"
        )
    )
    return [_month_row(month, days, closed.get(month.slug)) for month in months]


def _month_row(month: Month, days: Iterable[Any], closed: CloseState | None) -> MonthRow:
    within = [(nano, calls) for day, nano, calls in days if month.first_day <= day <= month.last_day]
    return MonthRow(month, sum(nano for nano, _ in within), sum(calls for _, calls in within), closed)


@dataclass(frozen=True)
class SignedFigures:
    """The totals of a closed month as they are stored; None for what cannot be read any more."""

    nano: int | None
    calls: int | None
    ledger_rows: int | None
    ledger_max_id: int | None


def signed_figures(close: MonthClose) -> SignedFigures:
    """From the snapshot."""
    return SignedFigures(
        figure(close, "totals", "nano"),
        figure(close, "totals", "calls"),
        figure(close, "ledger", "rows"),
        figure(close, "ledger", "max_id"),
    )


@dataclass(frozen=True)
class SnapshotSection:
    """The figures of one dimension as they were signed."""

    title: str
    lines: list[Line]


def snapshot_sections(snapshot: Any) -> list[SnapshotSection]:
    """The tables of a closed month, the dearest lines first; none for a snapshot that cannot be read any more."""
    by = snapshot.get("by") if isinstance(snapshot, dict) else None
    titles = {Dimension.PROVIDER: "By provider", **SECTIONS}
    try:
        return [
            SnapshotSection(title, _snapshot_lines(by[dimension.value]))
            for dimension, title in titles.items()
            if by and dimension.value in by
        ]
    except (KeyError, TypeError, AttributeError):  # changed beyond reading
        return []


def _snapshot_lines(sums: dict[str, dict[str, int]]) -> list[Line]:
    lines = [Line(value or "none", value, nano=row["nano"], calls=row["calls"]) for value, row in sums.items()]
    return sorted(lines, key=lambda line: (-line.nano, line.value))


@dataclass(frozen=True)
class LinePage:
    """Some lines of an import; `next_after` is where the next page begins, 0 at the end."""

    lines: list[InvoiceLine]
    next_after: int


def line_page(invoice: InvoiceImport, *, after: int, every: bool) -> LinePage:
    """A page of the lines that differ, or of every one, by day, model and class."""
    lines = InvoiceLine.objects.filter(invoice=invoice, pk__gt=after).order_by("pk")
    found = list((lines if every else lines.exclude(likely_cause=""))[: LINES_A_PAGE + 1])
    shown = found[:LINES_A_PAGE]
    return LinePage(shown, shown[-1].pk if len(found) > LINES_A_PAGE else 0)

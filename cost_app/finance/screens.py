"""Contexts of the finance pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from aiinfra.templatetags.formats import money_places
from cost_app.calendar import ONE_DAY, Calendar
from cost_app.finance.month_close import CloseState, close_states, figure
from cost_app.finance.month_sums import MonthSums, has_whole_days, sums_calendar
from cost_app.finance.months import Month, months_of
from cost_app.finance.statement import SECTIONS, UNATTRIBUTED, Line, names_of
from cost_app.models import Dimension, InvoiceImport, InvoiceLine, MonthClose, UsageDay

LINES_A_PAGE = 100


@dataclass(frozen=True)
class MonthRow:
    """A month in the list. Closed months have their signed figures, None if unreadable. Amounts in nano-dollars."""

    month: Month
    nano: int | None
    calls: int | None
    closed: CloseState | None


def month_rows(organization_id: int) -> list[MonthRow]:
    """The months with statements, newest first. Daily rollups are read once for all of them."""
    months = months_of(organization_id)
    if not months:
        return []
    closed = close_states(organization_id)
    days = UsageDay.objects.filter(dimension=Dimension.TOTAL, day__gte=months[-1].first_day - ONE_DAY)
    costs = list(days.values_list("day", "nano", "calls"))
    calendar = sums_calendar(organization_id)
    return [_month_row(organization_id, month, closed.get(month.slug), calendar, costs) for month in months]


def _month_row(
    organization_id: int,
    month: Month,
    closed: CloseState | None,
    calendar: Calendar,
    costs: Sequence[tuple[date, int, int]],
) -> MonthRow:
    if closed:
        signed = signed_figures(closed.close)
        return MonthRow(month, signed.nano, signed.calls, closed)
    if not has_whole_days(calendar, month):
        total = MonthSums(organization_id, month).total()
        return MonthRow(month, total["nano"], total["calls"], None)
    within = [(nano, calls) for day, nano, calls in costs if month.first_day <= day <= month.last_day]
    return MonthRow(month, sum(nano for nano, _ in within), sum(calls for _, calls in within), None)


@dataclass(frozen=True)
class SignedFigures:
    """A closed month's stored totals. None if unreadable."""

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
    """The signed figures of one dimension."""

    title: str
    lines: list[Line]

    @property
    def places(self) -> int:
        """The decimals of its amounts."""
        return money_places(line.nano for line in self.lines)


def snapshot_sections(snapshot: Any) -> list[SnapshotSection]:
    """The tables of a closed month, highest cost first. Empty for an unreadable snapshot."""
    by = snapshot.get("by") if isinstance(snapshot, dict) else None
    titles = {Dimension.PROVIDER: "By provider", **SECTIONS}
    try:
        return [
            SnapshotSection(title, _snapshot_lines(dimension, by[dimension.value]))
            for dimension, title in titles.items()
            if by and dimension.value in by
        ]
    except (KeyError, TypeError, AttributeError):  # unreadable
        return []


def _snapshot_lines(dimension: Dimension, sums: dict[str, dict[str, Any]]) -> list[Line]:
    """Months closed before names were signed contain row IDs. Look up their current names."""
    old = names_of(dimension, [value for value, row in sums.items() if "name" not in row])
    lines = [
        Line(
            name=_signed_name(dimension, value, row) or old.get(value, value),
            value=value,
            nano=row["nano"],
            calls=row["calls"],
        )
        for value, row in sums.items()
    ]
    return sorted(lines, key=lambda line: (-line.nano, line.value))


def _signed_name(dimension: Dimension, value: str, row: dict[str, Any]) -> str:
    if not value:
        return UNATTRIBUTED.get(dimension, "none")
    return f"{row['name']} ({value})" if row.get("name") else ""


@dataclass(frozen=True)
class LinePage:
    """A page of import lines. `next_after` is where the next page begins, 0 at the end."""

    lines: list[InvoiceLine]
    next_after: int


def line_page(invoice: InvoiceImport, *, after: int, every: bool) -> LinePage:
    """A page of the differing lines, or of all lines, by day, model, and class."""
    lines = InvoiceLine.objects.filter(invoice=invoice, pk__gt=after).order_by("pk")
    found = list((lines if every else lines.exclude(likely_cause=""))[: LINES_A_PAGE + 1])
    shown = found[:LINES_A_PAGE]
    return LinePage(shown, shown[-1].pk if len(found) > LINES_A_PAGE else 0)

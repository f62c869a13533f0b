"""Reads a provider's usage file, a CSV export of its console. docs/finance.md lists the columns of each layout.

Columns are found by name, in any order; unknown columns are ignored. The whole file is read before anything is stored.
Ambiguous and invalid files are rejected with line and column.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from cost_app.finance.invoices.cells import Cell, CellError
from cost_app.finance.invoices.layouts import LAYOUTS, InvoiceUsage, Layout, is_currency
from cost_app.finance.invoices.numbers import Notation
from cost_app.finance.invoices.table import FileError, Header, columns_of, decode, headers, rows_of

__all__ = ["Amounts", "FileError", "ProviderFile", "read_file"]

DAYS_MAX = 100
NANO_MAX = 9 * 10**18
"""The database's maximum: nine billion dollars."""
Key = tuple[date, str, str]
"""(day, model as the provider writes it, token class)"""


@dataclass
class Amounts:
    """Sums of the rows of one key. None if the layout doesn't have it. `nano` is in nano-dollars."""

    tokens: int | None = None
    nano: int | None = None


@dataclass(frozen=True)
class ProviderFile:
    """The parsed file."""

    layout: Layout
    lines: dict[Key, Amounts]

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day."""
        days = [day for day, _, _ in self.lines]
        return min(days), max(days)


def read_file(provider: str, content: bytes) -> ProviderFile:
    """Parse a file. Raises FileError if it is too long, has an unknown layout, or has an invalid cell."""
    text = decode(content)
    header, layout = _layout(provider, headers(text))
    columns = columns_of(header)
    rows = [(line, _cells(columns, cells)) for line, cells in rows_of(text, header)]
    notation = _notation(layout, rows)
    sums: dict[Key, tuple[int | None, Decimal | None]] = {}
    currencies = [name for name in columns if is_currency(name)]
    for line, cells in rows:
        for usage in _read_row(layout, cells, notation, currencies, line):
            _add(sums, usage)
    if not sums:
        raise FileError(header.line, "", "the file has no usage; export it again for days with usage")
    return _checked(ProviderFile(layout, {key: _amounts(*pair) for key, pair in sums.items()}), header.line)


def _layout(provider: str, found: list[Header]) -> tuple[Header, Layout]:
    """The provider's layout, and the separator, by which all required columns are found."""
    fitting = [(header, layout) for header in found for layout in LAYOUTS[provider] if layout.fits(header.names)]
    if len(fitting) == 1:
        return fitting[0]
    wanted = "; or ".join(f"{layout.title}: {', '.join(layout.columns_wanted)}" for layout in LAYOUTS[provider])
    if fitting:
        raise FileError(found[0].line, "", f"the columns match two layouts. Expected: {wanted}")
    raise FileError(found[0].line, "", f"the columns do not match a usage file of {provider}. Expected: {wanted}")


def _cells(columns: Mapping[str, int], cells: list[str]) -> dict[str, str]:
    return {name: cells[at] for name, at in columns.items()}


def _notation(layout: Layout, rows: list[tuple[int, dict[str, str]]]) -> Notation:
    """The file's number notation; see `numbers`. Raises FileError if it is ambiguous."""
    decided: tuple[Notation, int, Cell] | None = None
    doubtful: tuple[int, Cell] | None = None
    for line, cell in _number_cells(layout, rows):
        number = _number(cell, line).number()
        if number.evidence and decided and number.evidence is not decided[0]:
            problem = f"{cell.shown()} and {decided[2].shown()} in line {decided[1]} use different decimal separators"
            raise FileError(line, cell.column, problem)
        if number.evidence:
            decided = decided or (number.evidence, line, cell)
        elif number.is_ambiguous:
            doubtful = doubtful or (line, cell)
    if doubtful and not decided:
        problem = f"{doubtful[1].shown()} could be thousands or a fraction; export the file with a decimal point"
        raise FileError(doubtful[0], doubtful[1].column, problem)
    return decided[0] if decided else Notation.POINT


def _number_cells(layout: Layout, rows: list[tuple[int, dict[str, str]]]) -> Iterator[tuple[int, Cell]]:
    for line, cells in rows:
        for name in layout.numbers:
            if cells.get(name):
                yield line, Cell(name, cells[name])


def _number(cell: Cell, line: int) -> Cell:
    try:
        cell.number()
    except CellError as error:
        raise FileError(line, error.column, error.problem) from None
    return cell


def _read_row(
    layout: Layout, cells: Mapping[str, str], notation: Notation, currencies: Sequence[str], line: int
) -> list[InvoiceUsage]:
    row = {name: Cell(name, text, notation) for name, text in cells.items()}
    try:
        found = layout.read(row)
        for name in currencies if found else ():
            if row[name].text:
                row[name].must_be_usd()
    except CellError as error:
        raise FileError(line, error.column, error.problem) from None
    return found


def _add(sums: dict[Key, tuple[int | None, Decimal | None]], usage: InvoiceUsage) -> None:
    key = (usage.day, usage.model, usage.token_class)
    tokens, dollars = sums.get(key, (None, None))
    if usage.tokens is not None:
        tokens = (tokens or 0) + usage.tokens
    if usage.dollars is not None:
        dollars = (dollars or Decimal()) + usage.dollars
    sums[key] = (tokens, dollars)


def _amounts(tokens: int | None, dollars: Decimal | None) -> Amounts:
    """Round money once, on the sum."""
    nano = None if dollars is None else int(dollars.scaleb(9).to_integral_value(ROUND_HALF_EVEN))
    return Amounts(tokens, nano)


def _checked(file: ProviderFile, header_line: int) -> ProviderFile:
    first, last = file.days
    if (last - first).days >= DAYS_MAX:
        raise FileError(header_line, "", f"the file spans {first} to {last}; it can span at most {DAYS_MAX} days")
    if any(abs(amounts.nano or 0) > NANO_MAX for amounts in file.lines.values()):
        raise FileError(header_line, "", "its amounts add up to an impossible total")
    return file

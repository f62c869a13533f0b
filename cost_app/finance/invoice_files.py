"""Reading a provider's usage file: a CSV as its console exports it. docs/finance.md lists the columns of each layout.

Columns are found by name, in any order, whatever else the file has. Everything is read before anything is stored, and
what cannot be read is told with its line and column.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from cost_app.finance.invoice_cells import Cell, CellError
from cost_app.finance.invoice_layouts import LAYOUTS, Layout, Usage

MAX_BYTES = 10 * 1024 * 1024
MAX_ROWS = 200_000
MAX_DAYS = 100
MOST_NANO = 9 * 10**18
"""What the database can hold: nine billion dollars."""
DELIMITERS = ",;\t"
Key = tuple[date, str, str]
"""(day, model as the provider writes it, token class)"""


class FileError(ValueError):
    """The file cannot be used; `line` counts from 1, `column` is the column's name or "" for the whole line."""

    def __init__(self, line: int, column: str, problem: str) -> None:
        place = f"Line {line}, column {column}" if column else f"Line {line}"
        super().__init__(f"{place}: {problem}")
        self.line = line
        self.column = column


@dataclass
class Amounts:
    """Sums of the rows of one key; None for what the layout does not tell. `nano` is in nano-dollars."""

    tokens: int | None = None
    nano: int | None = None


@dataclass(frozen=True)
class ProviderFile:
    """All that a file says."""

    layout: Layout
    lines: dict[Key, Amounts]

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last."""
        days = [day for day, _, _ in self.lines]
        return min(days), max(days)


def read_file(provider: str, content: bytes) -> ProviderFile:
    """Parse a file. Raises FileError for one that is too long, of no known layout, or with a cell without sense."""
    rows = _rows(_text(content))
    header_line, header = next(rows, (1, []))
    layout, columns = _layout(provider, header_line, header)
    sums: dict[Key, tuple[int | None, Decimal | None]] = {}
    for count, (line, cells) in enumerate(rows):
        if count == MAX_ROWS:
            raise FileError(line, "", f"a file can have {MAX_ROWS:,} rows; export a shorter period")
        for usage in _read_row(layout, columns, cells, line):
            _add(sums, usage)
    if not sums:
        raise FileError(header_line, "", "the file has no usage; export it again for days with usage")
    return _checked(ProviderFile(layout, {key: _amounts(*pair) for key, pair in sums.items()}), header_line)


def _text(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise FileError(1, "", f"a file can have {MAX_BYTES // 1024 // 1024} MB; export a shorter period")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileError(line, "", "this is no CSV file in UTF-8; unpack a ZIP file first") from None
    if "\0" in text:
        raise FileError(text.count("\n", 0, text.index("\0")) + 1, "", "this is no CSV file; unpack a ZIP file first")
    return text


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """(number of its last line, cells) of every row that is not empty."""
    first_line = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(DELIMITERS, key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise FileError(reader.line_num, "", f"{error}") from None


def _layout(provider: str, line: int, header: list[str]) -> tuple[Layout, dict[str, int]]:
    """The first layout of the provider that finds its columns, and where they are."""
    columns = {name.strip().lower(): at for at, name in enumerate(header)}
    for layout in LAYOUTS[provider]:
        if layout.fits(columns):
            return layout, columns
    wanted = "; or ".join(f"{layout.title}: {', '.join(layout.columns_wanted)}" for layout in LAYOUTS[provider])
    raise FileError(line, "", f"the columns of a {provider} file are not there. Expected are those of {wanted}")


def _read_row(layout: Layout, columns: Mapping[str, int], cells: list[str], line: int) -> list[Usage]:
    row = {name: Cell(name, cells[at].strip() if at < len(cells) else "") for name, at in columns.items()}
    try:
        return layout.read(row)
    except CellError as error:
        raise FileError(line, error.column, error.problem) from None


def _add(sums: dict[Key, tuple[int | None, Decimal | None]], usage: Usage) -> None:
    key = (usage.day, usage.model, usage.token_class)
    tokens, dollars = sums.get(key, (None, None))
    if usage.tokens is not None:
        tokens = (tokens or 0) + usage.tokens
    if usage.dollars is not None:
        dollars = (dollars or Decimal()) + usage.dollars
    sums[key] = (tokens, dollars)


def _amounts(tokens: int | None, dollars: Decimal | None) -> Amounts:
    """Money is rounded once, on the sum."""
    nano = None if dollars is None else int(dollars.scaleb(9).to_integral_value(ROUND_HALF_EVEN))
    return Amounts(tokens, nano)


def _checked(file: ProviderFile, header_line: int) -> ProviderFile:
    first, last = file.days
    if (last - first).days >= MAX_DAYS:
        raise FileError(header_line, "", f"the file spans {first} to {last}; {MAX_DAYS} days are the most")
    if any(abs(amounts.nano or 0) > MOST_NANO for amounts in file.lines.values()):
        raise FileError(header_line, "", "its amounts add up to more than anybody can have spent")
    return file

"""Turns bytes into rows of text: encoding, separator, and table shape."""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

BYTES_MAX = 10 * 1024 * 1024
ROWS_MAX = 200_000
DELIMITERS = ",;\t"
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class FileError(ValueError):
    """The file is invalid. `line` counts from 1; `column` is the column's name, or "" for the whole line."""

    def __init__(self, line: int, column: str, problem: str) -> None:
        place = f"Line {line}, column {column}" if column else f"Line {line}"
        super().__init__(f"{place}: {problem}")
        self.line = line
        self.column = column


def decode(content: bytes) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark. Raises FileError."""
    if len(content) > BYTES_MAX:
        raise FileError(1, "", f"a file can have at most {BYTES_MAX // 1024 // 1024} MB; export a shorter period")
    encoding = "utf-16" if content.startswith(UTF_16) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileError(line, "", "this is not a CSV file in UTF-8; unpack ZIP files first") from None
    if "\0" in text:
        raise FileError(text.count("\n", 0, text.index("\0")) + 1, "", "this is not a CSV file; unpack ZIP files first")
    return text


@dataclass(frozen=True)
class Header:
    """The lowercase column names when split by one separator."""

    delimiter: str
    line: int
    names: list[str]


def headers(text: str) -> list[Header]:
    """The header by each separator that it contains, by commas if it contains none. Raises FileError."""
    first_line = text.lstrip("\r\n").partition("\n")[0]
    found = [delimiter for delimiter in DELIMITERS if delimiter in first_line]
    return [_header(text, delimiter) for delimiter in found or DELIMITERS[:1]]


def _header(text: str, delimiter: str) -> Header:
    line, cells = next(_lines(text, delimiter), (1, []))
    return Header(delimiter, line, [cell.strip().lower() for cell in cells])


def columns_of(header: Header) -> dict[str, int]:
    """The index of each column. Raises FileError if two columns have the same name."""
    columns: dict[str, int] = {}
    for at, name in enumerate(header.names):
        if name in columns:
            raise FileError(header.line, name, "two columns have this name; remove one of them")
        if name:
            columns[name] = at
    return columns


def rows_of(text: str, header: Header) -> list[tuple[int, list[str]]]:
    """(number of its last line, stripped cells) of every non-empty row. Raises FileError if a row has more or fewer
    cells than the header; trailing empty cells are ignored.
    """
    rows: list[tuple[int, list[str]]] = []
    lines = _lines(text, header.delimiter)
    next(lines, None)
    for line, cells in lines:
        if len(rows) == ROWS_MAX:
            raise FileError(line, "", f"a file can have at most {ROWS_MAX:,} rows; export a shorter period")
        if len(cells) < len(header.names) or any(cell.strip() for cell in cells[len(header.names) :]):
            raise FileError(line, "", f"the row has {len(cells)} cells, and the header has {len(header.names)}")
        rows.append((line, [cell.strip() for cell in cells]))
    return rows


def _lines(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise FileError(reader.line_num, "", f"{error}") from None

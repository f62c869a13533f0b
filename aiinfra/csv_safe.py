"""Cells that a spreadsheet shows and never runs."""

import re
from collections.abc import Iterable

# OWASP "CSV Injection": = + - @, tab, carriage return and line feed, and the full-width forms that some editors fold.
_STARTS_A_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


def safe_cell(value: object) -> str:
    """The value as the text of a CSV cell; "" for None.

    Text that a spreadsheet would take for a formula gets a leading apostrophe; a number stays a number.
    """
    text = "" if value is None else str(value)
    if text.startswith(_STARTS_A_FORMULA) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def safe_row(cells: Iterable[object]) -> list[str]:
    """The same for every cell of a row."""
    return [safe_cell(cell) for cell in cells]

"""Protects CSV cells from formula injection."""

import re
from collections.abc import Iterable

# OWASP "CSV Injection": = + - @ and their full-width forms, which some editors fold; tab, carriage return, line feed.
# A spreadsheet that splits at semicolons or tabs, as Excel does in much of Europe, starts a cell inside the text.
_SIGN = r"""[=+\-@\uff1d\uff0b\uff0d\uff20]"""
_STARTS_A_FORMULA = re.compile(rf"\s*{_SIGN}|[\t\r\n]")
_BEFORE_A_FORMULA = re.compile(rf"""(?<=[;\t\r\n])(?=(?:[^\S\t\r\n]|["'])*{_SIGN})""")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


def safe_cell(value: object) -> str:
    """The value as the text of a CSV cell; "" for None.

    Text that a spreadsheet would treat as a formula is prefixed with an apostrophe, and so is each position inside
    where a formula could start. Numbers are unchanged.
    """
    text = "" if value is None else str(value)
    if _NUMBER.fullmatch(text):
        return text
    inside = _BEFORE_A_FORMULA.sub("'", text)
    return f"'{inside}" if _STARTS_A_FORMULA.match(text) or inside != text else text


def safe_row(cells: Iterable[object]) -> list[str]:
    """Every cell of a row, made safe."""
    return [safe_cell(cell) for cell in cells]

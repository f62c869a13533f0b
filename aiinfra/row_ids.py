"""Ids of rows as clients send them: text that may be anything."""

DIGITS_MAX = 18
"""More than so many do not surely fit a 64-bit column."""


def is_row_id(text: str) -> bool:
    """Whether it can be a row's id: ASCII digits, no more than the column holds."""
    return text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX

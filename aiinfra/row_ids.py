"""Row IDs as clients send them: arbitrary text."""

DIGITS_MAX = 18
"""Longer numbers may not fit a 64-bit column."""


def is_row_id(text: str) -> bool:
    """Whether it can be a row's ID: ASCII digits that fit the column."""
    return text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX

"""Validates ranges of days for exports."""

from datetime import date

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)
"""Days near these bounds are valid in every time zone."""


def range_error(first: date, last: date) -> tuple[str, str] | None:
    """The invalid field (`first` or `last`) and the error. None for a valid range."""
    if first > last:
        return "last", "The last day is before the first."
    for name, day in (("first", first), ("last", last)):
        if not FIRST_DAY <= day <= LAST_DAY:
            return name, "Select a day in the year 2000 or later."
    return None

"""Finds and parses single counts in a provider's usage."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

TOKENS_MAX = 100_000_000
"""A larger count in one call is an error: the longest context of any model is a hundredth of it."""

_DIGITS = re.compile(r"\s{0,9}([0-9]{1,9})(\.0{1,9})?\s{0,9}")


class UsageError(ValueError):
    """The counts are contradictory or impossible."""


def at(raw: Mapping[str, Any], path: str) -> Any:
    """The value at a path; None if something on the path is missing, null or empty.

    An empty list counts as an empty object: PHP writes it so. Raises UsageError if something on the path is not an
    object.
    """
    first, rest = _names(path)
    value = raw.get(first)
    for name in rest:
        if not value:
            return None
        if not isinstance(value, dict):
            raise UsageError(path)
        value = value.get(name)
    return value


@cache
def _names(path: str) -> tuple[str, list[str]]:
    """The first name of a path, and those after it. Nearly a hundred paths are looked up in each answer."""
    first, *rest = path.split(".")
    return first, rest


def count(raw: Mapping[str, Any], path: str) -> int | None:
    """A token count, also as `10.0` or `"10"`; None if there is none. Raises UsageError for anything else."""
    if not path or _names(path)[0] not in raw:
        return None
    value = at(raw, path)
    if value is None or value in ("", [], {}):
        return None
    whole = as_whole(value)
    if whole is None or whole > TOKENS_MAX:
        raise UsageError(path)
    return whole


def as_whole(value: object) -> int | None:
    """A non-negative integer in any notation; None for anything else."""
    if isinstance(value, str):
        written = _DIGITS.fullmatch(value)
        return int(written[1]) if written else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and value >= 0 else None
    return value if type(value) is int and value >= 0 else None


def stated(raw: Mapping[str, Any], paths: Iterable[str]) -> list[int]:
    """The counts present at these paths."""
    there = [path for path in paths if _names(path)[0] in raw]
    return [value for path in there if (value := count(raw, path)) is not None]


def agreed(counts: Iterable[int]) -> int:
    """The single value of a count that is given several times; 0 if it is not given. A zero next to another value is
    ignored.

    Raises UsageError if two differ.
    """
    known = {each for each in counts if each}
    if len(known) > 1:
        raise UsageError("one count has two values")
    return known.pop() if known else 0

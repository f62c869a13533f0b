"""Finding and reading single counts in a provider's usage."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

MAX_TOKENS = 100_000_000
"""More than this in one call is nonsense: the longest context of any model is a hundredth of it."""

_DIGITS = re.compile(r"\s{0,9}([0-9]{1,9})(\.0{1,9})?\s{0,9}")


class UsageError(ValueError):
    """The counts make no sense."""


def at(raw: Mapping[str, Any], path: str) -> Any:
    """What stands at a path; None where something on the way is missing, null or empty.

    An empty list is an empty object: PHP writes it so. Raises UsageError where something on the way is no object.
    """
    value: Any = raw
    for name in path.split("."):
        if not value:
            return None
        if not isinstance(value, Mapping):
            raise UsageError(path)
        value = value.get(name)
    return value


def count(raw: Mapping[str, Any], path: str) -> int | None:
    """A number of tokens, also as `10.0` or `"10"`; None where there is none. Raises UsageError for anything else."""
    value = at(raw, path) if path else None
    if value is None or value in ("", [], {}):
        return None
    whole = as_whole(value)
    if whole is None or whole > MAX_TOKENS:
        raise UsageError(path)
    return whole


def as_whole(value: object) -> int | None:
    """A whole number that is not negative, however it is written; None for anything else."""
    if isinstance(value, str):
        written = _DIGITS.fullmatch(value)
        return int(written[1]) if written else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and value >= 0 else None
    return value if type(value) is int and value >= 0 else None


def stated(raw: Mapping[str, Any], paths: Iterable[str]) -> list[int]:
    """The counts at some paths, those that are there."""
    return [value for path in paths if (value := count(raw, path)) is not None]


def agreed(counts: Iterable[int]) -> int:
    """The one count that is given several times; 0 where it is not given. A zero beside another count is a filler.

    Raises UsageError if two differ.
    """
    known = {each for each in counts if each}
    if len(known) > 1:
        raise UsageError("one count has two values")
    return known.pop() if known else 0

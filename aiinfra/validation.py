"""Converts pydantic's errors to messages for clients."""

from collections.abc import Iterator, Mapping
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, WithJsonSchema

Path = tuple[str | int, ...]

WORDS = {
    "model_type": "Input should be an object",
    "dict_type": "Input should be an object",
    "list_type": "Input should be an array",
}
"""Messages in the words of JSON; pydantic's name Python's types and our classes."""
OF_ABSENT = frozenset({"missing", "value_error"})
"""Errors of members that are not there, for which a default was not good enough."""
SHOULD_BE = "Input should be "


def moment_of(value: object) -> datetime:
    """An instant that is valid in every time zone. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(value.upper()) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime) or moment.tzinfo is None or not MINYEAR < moment.year < MAXYEAR:
        raise ValueError("A time must be ISO 8601 with a UTC offset, such as 2026-01-31T23:00:00Z.")
    return moment


Moment = Annotated[datetime, BeforeValidator(moment_of), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A time in a payload, with its UTC offset."""


def words_of(error: Mapping[str, Any]) -> str:
    """The message of a pydantic error; for a ValueError or AssertionError its own text, without pydantic's prefix."""
    message = str(error["msg"])
    if error["type"] in {"value_error", "assertion_error"}:
        message = message.split(", ", 1)[-1]
        return f"{message[:1].upper()}{message[1:]}"
    return WORDS.get(str(error["type"]), message)


def first_problem(error: ValidationError, root: object) -> tuple[Path, str]:
    """The path of the first wrong member in `root`, and what is wrong with it.

    Where a member may have several types, each of them has an error, and pydantic adds the type's name to the path. The
    type that accepted most of the value counts; if none stands out, the message names all of them.
    """
    found = [
        (tuple(_steps(each["loc"], root, str(each["type"]))), words_of(each))
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    first = found[0][0]
    same = [(path, words) for path, words in found if path[: len(first)] == first]
    deepest = max((path for path, _ in same), key=len)
    words = list(dict.fromkeys(each for path, each in same if path == deepest))
    return deepest, " or ".join([words[0], *(each.removeprefix(SHOULD_BE) for each in words[1:])])


def _steps(location: Path, value: Any, kind: str) -> Iterator[str | int]:
    """The steps of a location that exist in the value, and an absent last one."""
    for position, step in enumerate(location):
        if isinstance(value, Mapping):
            is_here = step in value or (kind in OF_ABSENT and position == len(location) - 1)
        else:
            is_here = isinstance(value, list | tuple) and isinstance(step, int)
        if is_here:
            yield step
            value = value.get(step) if isinstance(value, Mapping) else value[step]

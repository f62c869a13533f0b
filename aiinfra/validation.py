"""Converts pydantic's errors to messages for clients."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, WithJsonSchema

Path = tuple[str | int, ...]

REQUIRED = "This field is required."
MUST_BE = "This must be "
WORDS = {
    "missing": REQUIRED,
    "extra_forbidden": "Unknown field.",
    "bool_type": f"{MUST_BE}true or false.",
    "bool_parsing": f"{MUST_BE}true or false.",
    "model_type": f"{MUST_BE}an object.",
    "model_attributes_type": f"{MUST_BE}an object.",
    "dict_type": f"{MUST_BE}an object.",
    "list_type": f"{MUST_BE}an array.",
    "none_required": f"{MUST_BE}null.",
    "decimal_type": f"{MUST_BE}a number.",
    "uuid_type": f"{MUST_BE}a string.",
    "int_parsing_size": f"{MUST_BE}a smaller number.",
}
"""Messages in JSON's terms; pydantic's messages name Python types and our classes."""
REWORDED = (
    (re.compile(r"^Input should be (an? valid [^,]+),.*"), r"Input should be \1"),
    (re.compile(r"\ba valid (?=[aeio])"), "an "),
    (re.compile(r"\ba valid "), "a "),
    (re.compile(r"greater than or equal to"), "at least"),
    (re.compile(r"less than or equal to"), "at most"),
    (re.compile(r" after validation, not .*"), ""),
    (re.compile(r"^\w+ ((input|scheme) )?should "), "This must "),
    (re.compile(r"^This must match pattern "), "This must match the pattern "),
)
"""Pydantic's phrases and their replacements."""
CHOICES = frozenset({"literal_error", "enum"})
OF_ABSENT = frozenset({"missing", "value_error"})
"""Errors for missing members."""
OF_TYPE = "_type"
"""Suffix of pydantic's error types for values of the wrong type."""


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
    """The message of a pydantic error as a sentence; for a ValueError or AssertionError its own text."""
    kind, message = str(error["type"]), str(error["msg"])
    if kind in {"value_error", "assertion_error"}:
        message = message.split(", ", 1)[-1]
    elif kind in WORDS:
        message = WORDS[kind]
    else:
        message = _one_of(message) if kind in CHOICES else _reworded(message)
    return f"{message[:1].upper()}{message[1:]}".rstrip(".") + "."


def _reworded(message: str) -> str:
    for pattern, words in REWORDED:
        message = pattern.sub(words, message)
    return message


def _one_of(message: str) -> str:
    """A message with the choices, which pydantic quotes."""
    return MUST_BE + _alternatives(re.findall(r"'([^']*)'", message) or [_reworded(message).removeprefix(MUST_BE)])


def _alternatives(choices: Sequence[str]) -> str:
    *others, last = choices
    return f"{', '.join(others)}, or {last}" if len(others) > 1 else " or ".join(choices)


def first_problem(error: ValidationError, root: object) -> tuple[Path, str]:
    """The path of the first invalid member in `root`, and its problem.

    For a union, pydantic reports an error for each type and adds the type's name to the path. The type that accepted
    most of the value wins; if none stands out, the message names all of them. For a list that is too long, errors in
    its elements are ignored.
    """
    found = [
        (tuple(_steps(each["loc"], root, str(each["type"]))), each)
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    first = found[0][0]
    same = [(path, each) for path, each in found if path[: len(first)] == first]
    too_long = [path for path, each in same if each["type"] == "too_long"]
    deepest = max(too_long or (path for path, _ in same), key=len)
    return deepest, _joined([dict(each) for path, each in same if path == deepest])


def _joined(errors: Sequence[Mapping[str, Any]]) -> str:
    """One sentence for the errors of all types that a value may have. A type that it has counts before the others,
    unless the value only missed its choices: it could have been meant for another type.
    """
    of_its_type = [each for each in errors if not str(each["type"]).endswith(OF_TYPE)]
    is_certain = any(each["type"] not in CHOICES for each in of_its_type)
    first, *others = dict.fromkeys(map(words_of, of_its_type if is_certain else errors))
    more = [each.removeprefix(MUST_BE).rstrip(".") for each in others if each.startswith(MUST_BE)]
    return f"{_alternatives([first.rstrip('.'), *more])}."


def _steps(location: Path, value: Any, kind: str) -> Iterator[str | int]:
    """The steps of a location that exist in the value, including a missing last one."""
    for position, step in enumerate(location):
        if isinstance(value, Mapping):
            is_here = step in value or (kind in OF_ABSENT and position == len(location) - 1)
        else:
            is_here = isinstance(value, list | tuple) and isinstance(step, int)
        if is_here:
            yield step
            value = value.get(step) if isinstance(value, Mapping) else value[step]

"""Reads the file of a batch: one call per line, in OpenAI's format. Pure functions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pydantic_core

from aiinfra.bodies import BODY_BYTES_MAX
from aiinfra.json_body import CALL_NODES_MAX, REPEATED, first_error, repeated_member

CUSTOM_ID_MAX = 255
KNOWN = frozenset({"custom_id", "method", "url", "body"})


class LineError(ValueError):
    """A line, counted from 1, is not a valid call; 0 is the whole file. `param` names the member."""

    def __init__(self, line: int, message: str, param: str = "") -> None:
        where = (f"Line {line}" if line else "", param)
        super().__init__(": ".join(filter(None, (*where, message))))


@dataclass(frozen=True)
class Line:
    """One call of a batch; `number` is its line in the file."""

    number: int
    custom_id: str
    url: str
    body: dict[str, Any]


def lines_of(content: bytes, first: int = 1) -> Iterator[Line]:
    """The calls in some whole lines; `first` is the first line's number. Skips blank lines. Raises LineError."""
    for number, text in enumerate(content.split(b"\n"), first):
        if text.strip():
            yield line_of(number, text)


def check_file(content: bytes, lines_max: int) -> int:
    """The number of calls. Raises LineError for the first invalid line, repeated `custom_id`, or excess line."""
    seen: set[str] = set()
    for line in lines_of(content):
        if line.custom_id in seen:
            raise LineError(line.number, f"The custom_id {line.custom_id!r} is used by an earlier line.", "custom_id")
        seen.add(line.custom_id)
        if len(seen) > lines_max:
            raise LineError(line.number, f"A file can have at most {lines_max} requests.")
    if not seen:
        raise LineError(0, "The file has no requests.")
    return len(seen)


def line_of(number: int, text: bytes) -> Line:
    """One line as a call. Raises LineError."""
    if len(text) > BODY_BYTES_MAX:
        raise LineError(number, f"The line is larger than {BODY_BYTES_MAX} bytes.")
    try:
        value = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        reason = str(error).replace(" at line 1 column ", " at column ")  # of this text, which is one line of the file
        raise LineError(number, f"The line is not valid JSON: {reason}") from None
    if not isinstance(value, dict):
        raise LineError(number, "The line must be a JSON object.")
    if (path := repeated_member(text)) is not None:
        raise LineError(number, REPEATED, path)
    if flaw := first_error(value, CALL_NODES_MAX):
        raise LineError(number, flaw[1], flaw[0])
    _check_members(number, value)
    return Line(number, value["custom_id"], value["url"], value["body"])


def _check_members(number: int, value: dict[str, Any]) -> None:
    if unknown := sorted(value.keys() - KNOWN):
        raise LineError(number, "Unknown field.", unknown[0])
    for name in ("custom_id", "method", "url"):
        if not isinstance(value.get(name), str) or not value[name]:
            raise LineError(number, "This must be a non-empty string.", name)
    if len(value["custom_id"]) > CUSTOM_ID_MAX:
        raise LineError(number, f"A custom_id can have at most {CUSTOM_ID_MAX} characters.", "custom_id")
    if value["method"] != "POST":
        raise LineError(number, "This must be POST.", "method")
    if not isinstance(value.get("body"), dict):
        raise LineError(number, "This must be an object.", "body")
    if value["body"].get("stream"):
        raise LineError(number, "Requests of a batch can't be streamed.", "body.stream")

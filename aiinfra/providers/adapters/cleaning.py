"""Sanitizes provider responses, so that databases, UTF-8 and JSON can store them. Every text and tree passes through
here once.

PostgreSQL cannot store NUL, UTF-8 cannot encode a lone surrogate, and JSON has no NaN or infinity. Python refuses to
print integers of more than 4,300 digits and to walk trees of a thousand levels.
"""

import json
import math
import re
from typing import Any

ID_LENGTH = 200
NAME_LENGTH = 128
DEPTH_MAX = 64
DIGITS_MAX = 300
"""Digits of an integer. Floats end at 308."""
MEMBERS_MAX = 1_000_000
"""Members of all arrays and objects in a body. Each costs up to a hundred bytes of memory, whatever its content."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def clean_text(text: str) -> str:
    """Replace NUL and lone surrogates by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def one_line(text: str, most: int) -> str:
    """At most `most` characters of a name, an id or a message, without control characters."""
    return _CONTROL.sub(" ", text[: 2 * most]).strip()[:most]


def clean_tree(value: object, depth: int = 0) -> Any:
    """A JSON value that can be stored and printed: numbers out of range and values nested too deeply become None."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value if _is_printable(value) else None
    if depth >= DEPTH_MAX:
        return None
    if isinstance(value, dict):
        return {clean_text(str(name)): clean_tree(child, depth + 1) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [clean_tree(child, depth + 1) for child in value]
    return None


def _is_printable(number: float) -> bool:
    return math.isfinite(number) if isinstance(number, float) else abs(number) < 10**DIGITS_MAX


def read_json(body: bytes) -> Any:
    """Parse the body leniently: invalid UTF-8 becomes U+FFFD, numbers out of range become None.

    Raises ValueError for invalid JSON, JSON that is nested too deeply, and more than `MEMBERS_MAX` members.
    """
    if len(body) > MEMBERS_MAX and body.count(b",") + body.count(b"[") + body.count(b"{") > MEMBERS_MAX:
        raise ValueError("The answer has too many members.")
    try:
        text = body.decode(json.detect_encoding(body), "replace")
        return json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("The answer is nested too deeply.") from None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= DIGITS_MAX else None


def _float(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None

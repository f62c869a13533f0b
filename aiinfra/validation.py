"""Pydantic's errors in words for a client."""

from collections.abc import Mapping
from typing import Any


def words_of(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors says: a ValueError's or AssertionError's own text, without pydantic's prefix."""
    message = str(error["msg"])
    if error["type"] in {"value_error", "assertion_error"}:
        message = message.split(", ", 1)[-1]
        return f"{message[:1].upper()}{message[1:]}"
    return message

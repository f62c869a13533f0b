"""Converts pydantic's errors to messages for clients."""

from collections.abc import Mapping
from typing import Any


def words_of(error: Mapping[str, Any]) -> str:
    """The message of a pydantic error; for a ValueError or AssertionError its own text, without pydantic's prefix."""
    message = str(error["msg"])
    if error["type"] in {"value_error", "assertion_error"}:
        message = message.split(", ", 1)[-1]
        return f"{message[:1].upper()}{message[1:]}"
    return message

"""Differences between DeepSeek's API and OpenAI's."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiinfra.providers.dialects.rejections import CallRejectedError, all_parts

CANNOT = "DeepSeek does not support this."
IMAGES = ("image_url", "image")


def check_deepseek(messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> None:
    """Raise CallRejectedError for images and JSON schemas, in the dialect of the client."""
    formats = [("response_format",), ("output_config", "format")]
    for names in formats:
        wanted: Any = parameters
        for name in names:
            wanted = wanted.get(name) if isinstance(wanted, Mapping) else None
        if isinstance(wanted, Mapping) and wanted.get("type") == "json_schema":
            raise CallRejectedError(("parameters", *names, "type"), f"{CANNOT} Use json_object.")
    for path, part in all_parts(messages):
        if part.get("type") in IMAGES:
            raise CallRejectedError((*path, "type"), CANNOT)


def for_deepseek(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages of OpenAI's dialect with developer messages as system messages."""
    return [_as_system(message) for message in messages]


def _as_system(message: Mapping[str, Any]) -> dict[str, Any]:
    return {**message, "role": "system"} if message.get("role") == "developer" else dict(message)

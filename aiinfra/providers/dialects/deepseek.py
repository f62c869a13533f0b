"""What DeepSeek's server understands differently from OpenAI's."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiinfra.providers.dialects.rejections import CallRejectedError

CANNOT = "DeepSeek does not support this."


def for_deepseek(
    messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The call with developer messages as system messages. Raises CallRejectedError for images and JSON schemas."""
    wanted = parameters.get("response_format")
    if isinstance(wanted, Mapping) and wanted.get("type") == "json_schema":
        raise CallRejectedError(("parameters", "response_format", "type"), f"{CANNOT} Use json_object.")
    for index, message in enumerate(messages):
        content = message.get("content")
        for place, part in enumerate(content if isinstance(content, list) else []):
            if part.get("type") == "image_url":
                raise CallRejectedError(("messages", index, "content", place, "type"), CANNOT)
    return [_as_system(message) for message in messages], dict(parameters)


def _as_system(message: Mapping[str, Any]) -> dict[str, Any]:
    return {**message, "role": "system"} if message.get("role") == "developer" else dict(message)

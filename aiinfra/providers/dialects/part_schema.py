"""JSON Schema of the content that `check_call` accepts, for the OpenAPI document."""

from typing import Any

from aiinfra.providers.dialects.rejections import BLOCKS, DOCUMENT_SOURCES, PARTS, URL_STARTS

Schema = dict[str, Any]
NULL: Schema = {"type": "null"}
CHECKED = ("image_url", "document", "tool_result")
"""Types of parts of which more than the type is checked."""


def _object(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def _one_of(*names: str) -> Schema:
    return {"type": "string", "enum": list(names)}


def _texts_or(parts: list[Schema], least: int) -> list[Schema]:
    return [
        {"type": "string", "minLength": least},
        {"type": "array", "items": {"anyOf": parts}, "minItems": least},
    ]


_URL = {"type": "string", "pattern": f"^({'|'.join(URL_STARTS)})"}
_INNER_PARTS = [
    _object({"type": _one_of(*sorted({*PARTS, *BLOCKS} - {*CHECKED}))}),
    _object({"type": _one_of("image_url"), "image_url": _object({"url": _URL})}),
    _object({"type": _one_of("document"), "source": _object({"type": _one_of(*DOCUMENT_SOURCES)})}),
]
_TOOL_RESULT = _object({"type": _one_of("tool_result")}, content={"anyOf": [*_texts_or(_INNER_PARTS, 0), NULL]})
_PARTS = [*_INNER_PARTS, _TOOL_RESULT]

CONTENT: Schema = {"anyOf": _texts_or(_PARTS, 1)}
"""Text or content parts, at least one."""
CONTENT_OR_NOTHING: Schema = {"anyOf": [*_texts_or(_PARTS, 0), NULL]}
"""The content of turns that may have none."""

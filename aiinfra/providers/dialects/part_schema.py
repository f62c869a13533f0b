"""JSON Schema of the messages that `check_shape` and `check_call` accept, for the OpenAPI document."""

from typing import Any

from aiinfra.providers.dialects.rejections import (
    BLOCKS,
    CLIENT_TOOLS,
    DOCUMENT_SOURCES,
    PARTS,
    REFERENCE,
    TOOL_CHANGES,
    URL_STARTS,
)
from aiinfra.providers.dialects.shapes import InnerPart, Shape, Turn

Schema = dict[str, Any]
NULL: Schema = {"type": "null"}
CHECKED = ("text", "refusal", "image_url", "document", "tool_result", REFERENCE, *TOOL_CHANGES)
"""Types of parts of which more than the type is checked."""


def members_of(shape: type[Shape]) -> dict[str, Schema]:
    """The schema of each known member of a shape, without references to other schemas."""
    schema = shape.model_json_schema()
    members: dict[str, Schema] = _without_references(schema["properties"], schema.get("$defs", {}))
    return members


def _without_references(schema: Any, named: dict[str, Schema]) -> Any:
    if isinstance(schema, list):
        return [_without_references(each, named) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        return _without_references(named[reference.rpartition("/")[2]], named)
    return {name: _without_references(each, named) for name, each in schema.items()}


def _object(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def _one_of(*names: str) -> Schema:
    return {"type": "string", "enum": list(names)}


def _texts_or(parts: list[Schema], least: int, characters: int = 0) -> list[Schema]:
    return [
        {"type": "string", "minLength": characters},
        {"type": "array", "items": {"properties": _MEMBERS, "anyOf": parts}, "minItems": least},
    ]


_MEMBERS = members_of(InnerPart)
_URL = {"type": "string", "pattern": f"^({'|'.join(URL_STARTS)})"}
_KIND = {"anyOf": [NULL, {"type": "string", "pattern": f"^({'|'.join(CLIENT_TOOLS)}|$)"}]}
_CHANGED_TOOLS = [
    _object({"type": _one_of(REFERENCE), "name": {"type": "string"}}),
    _object({"type": _one_of("tool_definition"), "definition": _object({"name": {"type": "string"}}, type=_KIND)}),
]
_INNER_PARTS = [
    _object({"type": _one_of(*sorted({*PARTS, *BLOCKS} - {*CHECKED}))}),
    *(_object({"type": _one_of(kind), kind: {"type": "string"}}) for kind in ("text", "refusal")),
    _object({"type": _one_of("image_url"), "image_url": _object({"url": _URL})}),
    _object({"type": _one_of(REFERENCE), "tool_name": {"type": "string"}}),
    _object({"type": _one_of(*TOOL_CHANGES), "tool": {"anyOf": _CHANGED_TOOLS}}),
    _object({"type": _one_of("document"), "source": _object({"type": _one_of(*DOCUMENT_SOURCES)})}),
]
_TOOL_RESULT = _object({"type": _one_of("tool_result")}, content={"anyOf": [*_texts_or(_INNER_PARTS, 0), NULL]})
_PARTS = [*_INNER_PARTS, _TOOL_RESULT]

CONTENT: Schema = {"anyOf": _texts_or(_PARTS, 1)}
"""Text, or content parts, at least one."""
CONTENT_NOT_EMPTY: Schema = {"anyOf": _texts_or(_PARTS, 1, characters=1)}
"""The same with at least one character."""
CONTENT_OR_NOTHING: Schema = {"anyOf": [*_texts_or(_PARTS, 0), NULL]}
"""The content of turns that may have none."""
OTHER_MEMBERS: Schema = {name: each for name, each in members_of(Turn).items() if name != "content"}
"""The other known members of a turn."""

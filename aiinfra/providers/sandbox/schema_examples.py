"""Values that fit a JSON schema, for answers and tool calls that must have a form."""

import math
from collections.abc import Callable, Mapping
from typing import Any

DEPTH_MAX = 8
"""Beyond it, arrays are as short as the schema allows, so that recursive schemas end."""
TEXTS = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "email": "sandbox@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
"""Format of a text -> an example."""
TEXT = "sandbox"
CHOICES = ("anyOf", "oneOf", "allOf")

Schema = Mapping[str, Any]


def example_of(schema: object, root: Schema | None = None, depth: int = 0) -> Any:
    """A value that fits the schema's types, required members, choices, and bounds. Patterns are not followed."""
    if not isinstance(schema, Mapping):
        return {} if root is None else TEXT
    root = schema if root is None else root
    if "$ref" in schema:
        return example_of(_target(str(schema["$ref"]), root), root, depth + 1) if depth < 2 * DEPTH_MAX else None
    if "const" in schema:
        return schema["const"]
    if options := schema.get("enum"):
        return options[0]
    for name in CHOICES:
        if options := schema.get(name):
            return example_of(next((each for each in options if each != {"type": "null"}), {}), root, depth + 1)
    return EXAMPLES.get(_type_of(schema), _text)(schema, root, depth)


def _type_of(schema: Schema) -> str:
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    kinds = kind if isinstance(kind, list) else [kind]
    return str(next((each for each in kinds if each != "null"), "null"))


def _target(reference: str, root: Schema) -> object:
    found: object = root
    for name in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(name) if isinstance(found, Mapping) and name else found
    return found


def _object(schema: Schema, root: Schema, depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    return {name: example_of(properties.get(name, {}), root, depth + 1) for name in schema.get("required") or ()}


def _array(schema: Schema, root: Schema, depth: int) -> list[Any]:
    count = schema.get("minItems") or (1 if depth < DEPTH_MAX else 0)
    return [example_of(schema.get("items") or {}, root, depth + 1)] * min(count, schema.get("maxItems", count))


def _text(schema: Schema, _root: Schema, _depth: int) -> str:
    text = TEXTS.get(str(schema.get("format")), TEXT).ljust(schema.get("minLength") or 0, ".")
    return text[: schema.get("maxLength")]


def _number(schema: Schema, _root: Schema, _depth: int) -> int | float:
    """The allowed number nearest to 1."""
    least = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf) + 1)
    most = schema.get("maximum", schema.get("exclusiveMaximum", math.inf) - 1)
    nearest: int | float = min(max(1, least), most)
    return nearest


EXAMPLES: Mapping[str, Callable[[Schema, Schema, int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _text,
    "integer": _number,
    "number": _number,
    "boolean": lambda *_: True,
    "null": lambda *_: None,
}
"""Type -> how its examples are made."""

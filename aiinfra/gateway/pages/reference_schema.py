"""Renders JSON schemas for the reference: types in words, and examples."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

Schema = Mapping[str, Any]
Schemas = Mapping[str, Schema]

WORDS = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean", "object": "object"}
LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "maxLength": "at most {} characters",
    "maxItems": "at most {}",
}
USUAL = {
    "provider": "deepseek",
    "model": "deepseek-chat",
    "role": "user",
    "content": "What is a queue?",
    "endpoint": "/v1/chat/completions",
    "completion_window": "24h",
}
"""Example values of members whose schema doesn't constrain them."""
FORMATS = {"date-time": "2099-01-31T23:00:00Z", "date": "2026-01-31", "uuid": str(UUID(int=1))}
TEXTS = ("text", "1.00", "2026-01-31", "2026-01-01", "abcdefgh", "1-1", "0" * 32, "1")
"""Example texts; the first that matches the field's pattern is used."""
DEPTH = 6


@dataclass(frozen=True)
class Field:
    """A member of a body, a query, or an answer. `models` are the names of the shapes in its type."""

    name: str
    type: str
    is_required: bool
    description: str
    models: tuple[str, ...]


def fields_of(schema: Schema) -> list[Field]:
    """The members of an object."""
    required = schema.get("required", ())
    return [
        Field(name, type_of(each), name in required, _description(each), tuple(dict.fromkeys(_models(each))))
        for name, each in schema.get("properties", {}).items()
    ]


def type_of(schema: Schema) -> str:
    """The type in words: `list of string, at most 10`."""
    if "$ref" in schema:
        return name_of(schema["$ref"])
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(type_of, options)))
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    return _plain_type(schema)


def _plain_type(schema: Schema) -> str:
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items") or {}
        text = f"list of {type_of(items)}" if items else "list"
    elif isinstance(kind, list):
        text = " or ".join(kind)
    else:
        text = WORDS.get(str(kind), str(kind or "any value"))
    limits = [words.format(schema[name]) for name, words in LIMITS.items() if name in schema]
    form = [schema["format"]] if "format" in schema else []
    return ", ".join([text, *form, *limits])


def _description(schema: Schema) -> str:
    text = str(schema.get("description", "")).replace("`", "")
    if (default := schema.get("default")) not in (None, "", [], {}):
        shown = default if isinstance(default, str) else json.dumps(default)
        text = f"{text}; default {shown}" if text else f"default {shown}"
    return text


def _models(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield name_of(schema["$ref"])
        for each in schema.values():
            yield from _models(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _models(each)


def name_of(reference: str) -> str:
    """The name of a shape in `#/components/schemas/Name`."""
    return reference.rpartition("/")[2]


def example_of(schema: Schema, schemas: Schemas, name: str = "", depth: int = 0) -> Any:
    """A short value that the schema accepts, with only the required members. `name` is the member's name."""
    if "$ref" in schema:
        return example_of(schemas[name_of(schema["$ref"])], schemas, name, depth)
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return example_of(options[0], schemas, name, depth)
    if "const" in schema or "enum" in schema:
        choices = schema.get("enum") or [schema.get("const")]
        return USUAL[name] if USUAL.get(name) in choices else choices[0]
    if "properties" in schema and depth < DEPTH:
        members = schema["properties"]
        return {each: example_of(members[each], schemas, each, depth + 1) for each in schema.get("required", ())}
    if schema.get("type") == "array":
        has_items = schema.get("minItems") and depth < DEPTH
        return [example_of(schema.get("items", {}), schemas, name, depth + 1)] if has_items else []
    return _plain_example(schema, name)


def _plain_example(schema: Schema, name: str) -> Any:
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "object":
            return {}
    pattern = schema.get("pattern", "")
    usual = FORMATS.get(str(schema.get("format"))) or USUAL.get(name)
    return usual or next((text for text in TEXTS if re.search(pattern, text)), TEXTS[0])

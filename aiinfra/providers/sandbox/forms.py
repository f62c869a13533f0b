"""Structured answers in both dialects: tool calls, and JSON that matches the requested schema."""

import json
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiinfra.providers.sandbox.schema_examples import Schema, example_of

ASKED = re.compile(r"\bcall ([\w-]+) with (?=\{)", re.IGNORECASE)
"""How a user's text asks for a call; its arguments follow as JSON."""
ANY_TOOL = ("required", "any")
ANY_OBJECT: Schema = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}


@dataclass(frozen=True)
class ToolCall:
    """A call of one of the offered tools; the arguments are JSON."""

    name: str
    arguments: str


def tool_call(body: Mapping[str, Any]) -> ToolCall | None:
    """The call that the answer is: the next one that a user's text asks for, or an example if it must be one."""
    tools, choice = _tools(body), _choice(body)
    if choice == "none" or not tools:
        return None
    forced = choice if choice in tools else next(iter(tools)) if choice in ANY_TOOL else ""
    asked = next(iter(_asked(body["messages"], tools)), None)
    if asked and (choice in ANY_TOOL or forced in ("", asked.name)):
        return asked
    return ToolCall(forced, json.dumps(example_of(tools[forced]))) if forced else None


def schema_of(body: Mapping[str, Any]) -> Schema | None:
    """The schema of an answer in JSON; None for prose."""
    form = body.get("response_format") or _mapping(body.get("output_config")).get("format")
    kind = _mapping(form).get("type")
    if kind == "json_object":
        return ANY_OBJECT
    found = _mapping(form).get("json_schema", form) if kind == "json_schema" else None
    return _mapping(_mapping(found).get("schema")) if found else None


def _tools(body: Mapping[str, Any]) -> dict[str, object]:
    """Name -> schema of the arguments."""
    offered = body.get("tools")
    tools = [_mapping(tool) for tool in offered] if isinstance(offered, list) else []
    functions = [_mapping(tool.get("function", tool)) for tool in tools]
    return {str(each["name"]): each.get("parameters", each.get("input_schema")) for each in functions if "name" in each}


def _choice(body: Mapping[str, Any]) -> str:
    """`auto`, `none`, one of `ANY_TOOL`, or the name of the tool that must be called."""
    choice = body.get("tool_choice") or "auto"
    if isinstance(choice, str):
        return choice
    return str(_mapping(choice.get("function", choice)).get("name") or choice.get("type"))


def _asked(messages: Sequence[Mapping[str, Any]], tools: Container[str]) -> Sequence[ToolCall]:
    """The calls requested by the last text that requests any, except the ones that already have results."""
    results = 0
    for message in reversed(messages):
        texts, count = _texts_and_results(message)
        results += count
        found = [call for text in texts for call in _calls_in(text) if call.name in tools]
        if found and message.get("role") == "user":
            return found[results:]
    return ()


def _texts_and_results(message: Mapping[str, Any]) -> tuple[list[str], int]:
    """The message's texts, and how many results of tools it has."""
    content = message.get("content")
    if not isinstance(content, list):
        return [str(content or "")], int(message.get("role") == "tool")
    blocks = [_mapping(block) for block in content]
    results = sum(block.get("type") == "tool_result" for block in blocks)
    return [str(block.get("text") or "") for block in blocks], results + int(message.get("role") == "tool")


def _calls_in(text: str) -> Iterator[ToolCall]:
    for found in ASKED.finditer(text):
        try:
            _, end = json.JSONDecoder().raw_decode(text, found.end())
        except ValueError:
            continue
        yield ToolCall(found[1], text[found.end() : end])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

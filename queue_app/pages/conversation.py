"""A request's prompt and answer as people read them: turns of texts, images, tool calls and results.

Clients choose what a call contains, in either dialect: anything unknown is shown as JSON.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHORT_ID = 40


@dataclass(frozen=True)
class Block:
    """A piece of a turn. Without a label it is plain text; `is_code` is for text whose spaces matter."""

    text: str
    label: str = ""
    is_code: bool = False


@dataclass(frozen=True)
class Turn:
    """One turn of the conversation."""

    role: str
    blocks: list[Block]


@dataclass(frozen=True)
class Tool:
    """A tool that the model could call. `definition` is JSON."""

    name: str
    description: str
    definition: str


def turns_of(messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> list[Turn]:
    """The prompt. Anthropic's system prompt, a parameter, comes first."""
    system = [Turn("system", list(_blocks(parameters["system"])))] if parameters.get("system") else []
    return [*system, *(Turn(str(message.get("role")), list(_message_blocks(message))) for message in messages)]


def tools_of(parameters: Mapping[str, Any]) -> list[Tool]:
    """The tools of a call, in either dialect."""
    tools = parameters.get("tools")
    return [_tool(each) for each in tools if isinstance(each, Mapping)] if isinstance(tools, list) else []


def other_parameters(parameters: Mapping[str, Any]) -> str:
    """All parameters that are not shown elsewhere, as JSON; empty if there are none."""
    others = {name: value for name, value in parameters.items() if name not in {"system", "tools"}}
    return _json(others) if others else ""


def answer_blocks(response: Mapping[str, Any]) -> list[Block]:
    """What surrounds the text of an answer: thinking and other parts, then tool calls."""
    parts = response.get("parts")
    return [*_blocks(parts if isinstance(parts, list) else []), *_calls(response.get("toolCalls"))]


def _message_blocks(message: Mapping[str, Any]) -> Iterator[Block]:
    if message.get("reasoning_content"):
        yield Block(str(message["reasoning_content"]), "Thinking")
    if message.get("thinking_blocks"):
        yield from _blocks(message["thinking_blocks"])
    if message.get("tool_call_id"):
        for block in _blocks(message.get("content")):
            yield Block(block.text, f"Result of {str(message['tool_call_id'])[:SHORT_ID]}", block.is_code)
    else:
        yield from _blocks(message.get("content"))
    if message.get("refusal"):
        yield Block(str(message["refusal"]), "Refusal")
    yield from _calls(message.get("tool_calls"))


def _blocks(content: Any) -> Iterator[Block]:
    if content is None or content == "":
        return
    if isinstance(content, str):
        yield Block(content)
    elif isinstance(content, list):
        for part in content:
            yield from _part(part) if isinstance(part, Mapping) else [Block(str(part))]
    else:
        yield Block(_json(content), is_code=True)


def _part(part: Mapping[str, Any]) -> Iterator[Block]:
    match part.get("type"):
        case "text":
            yield Block(str(part.get("text")))
        case "refusal":
            yield Block(str(part.get("refusal")), "Refusal")
        case "thinking":
            yield Block(str(part.get("thinking")), "Thinking")
        case "redacted_thinking":
            yield Block("Encrypted by the provider.", "Thinking")
        case "image_url" | "image":
            yield Block(_picture(part.get("image_url") or part.get("source")), "Image")
        case "document" if isinstance(source := part.get("source"), Mapping):
            named = f"Document {part['title']}" if part.get("title") else "Document"
            yield from (Block(each.text, named) for each in _blocks(source.get("data") or source.get("content")))
        case "tool_use":
            yield Block(_json(part.get("input")), f"Calls {part.get('name')}", is_code=True)
        case "tool_result":
            label = f"Result of {str(part.get('tool_use_id'))[:SHORT_ID]}"
            yield from (Block(each.text, label, each.is_code) for each in _blocks(part.get("content")))
        case kind:
            yield Block(_json(part), str(kind or "Part"), is_code=True)


def _picture(image: Any) -> str:
    """The address of an image, or its type and size: nobody can read the data itself."""
    if not isinstance(image, Mapping):
        return _json(image)
    if isinstance(image.get("data"), str):
        return _size_of(str(image.get("media_type")), image["data"])
    url = str(image.get("url"))
    if not url.startswith("data:"):
        return url
    head, _, data = url.partition(",")
    return _size_of(head.removeprefix("data:").partition(";")[0], data)


def _size_of(media_type: str, base64: str) -> str:
    return f"{media_type}, {len(base64) * 3 // 4 / 1024:,.1f} KiB"


def _calls(calls: Any) -> Iterator[Block]:
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") or call.get("custom") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            arguments = function.get("arguments", function.get("input"))
            yield Block(_readable(arguments), f"Calls {function.get('name')}", is_code=True)
        else:
            yield Block(_json(call), "Calls a tool", is_code=True)


def _readable(arguments: Any) -> str:
    """Arguments, which models write as JSON; as they are if they did not."""
    try:
        return _json(json.loads(arguments))
    except (TypeError, ValueError, RecursionError):
        return str(arguments or "")


def _tool(tool: Mapping[str, Any]) -> Tool:
    function = tool.get("function")
    described: Mapping[str, Any] = function if isinstance(function, Mapping) else tool
    name = described.get("name") or tool.get("type")
    return Tool(str(name), str(described.get("description") or ""), _json(tool))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)

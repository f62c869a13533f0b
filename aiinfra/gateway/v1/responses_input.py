"""A request to OpenAI's Responses API as chat messages and parameters."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiinfra.gateway.v1.responses_tools import SEARCH, function_name
from aiinfra.providers.dialects.rejections import CallRejectedError, Path
from aiinfra.providers.dialects.tool_images import split

SAME = frozenset(
    {
        "top_p",
        "parallel_tool_calls",
        "user",
        "metadata",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
    }
)
"""Parameters with the same name and meaning in chat completions."""
WITHOUT_EFFECT = frozenset({"truncation", "client_metadata", "max_tool_calls"})
"""Parameters about what is kept at OpenAI, and about tools that OpenAI runs. A prompt that is too long is refused,
whatever `truncation` says.
"""
LOGPROBS = "message.output_text.logprobs"
"""The one thing to `include` that these answers could have. All others are parts of items that are never returned."""
REASONING = frozenset({"effort", "summary", "generate_summary", "context"})
"""Members of `reasoning`. A summary is returned if the provider has one. `context` is about the reasoning of earlier
turns, which never reaches the provider: see `_add`.
"""
TEXT = frozenset({"format", "verbosity"})
ABOUT_TOOLS = frozenset({"tool_choice", "parallel_tool_calls"})
TEXT_PARTS = ("input_text", "output_text", "text")
NAMES = {"response_format": "text.format", "reasoning_effort": "reasoning.effort", "verbosity": "text.verbosity"}
"""Parameters of chat completions, and their names here."""
CANNOT = "This is not supported: aiinfra makes the call as a chat completion."
PARTS_ONLY = "Only text and images with an image_url are supported."

Message = dict[str, Any]


def parameters_of(given: Mapping[str, Any], functions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters of the chat completion. Raises CallRejectedError for those that can't be translated.

    Without `functions`, what concerns tools is left out: OpenAI refuses it then.
    """
    parameters: dict[str, Any] = {"tools": list(functions)} if functions else {}
    for name, value in given.items():
        if value is not None and (functions or name not in ABOUT_TOOLS or isinstance(value, Mapping)):
            parameters.update(_translated(name, value))
    return parameters


def _translated(name: str, value: Any) -> dict[str, Any]:
    if name in SAME:
        return {name: value}
    if name in WITHOUT_EFFECT or value is False:
        return {}
    match name:
        case "tool_choice":
            return {name: _tool_choice(value)}
        case "include" if not isinstance(value, list) or LOGPROBS not in value:
            return {}
        case "top_logprobs" if value == 0:
            return {}
        case "reasoning" if isinstance(value, Mapping):
            _only(value, REASONING, name)
            return {"reasoning_effort": value["effort"]} if value.get("effort") else {}
        case "text" if isinstance(value, Mapping):
            _only(value, TEXT, name)
            verbosity = {"verbosity": value["verbosity"]} if value.get("verbosity") else {}
            return {**_response_format(value.get("format")), **verbosity}
    raise CallRejectedError(("parameters", name), CANNOT)


def _only(value: Mapping[str, Any], known: frozenset[str], name: str) -> None:
    """Raise CallRejectedError for a member that would be lost."""
    for member, given in value.items():
        if member not in known and given is not None:
            raise CallRejectedError(("parameters", name, member), CANNOT)


def _tool_choice(value: Any) -> Any:
    path = ("parameters", "tool_choice")
    if not isinstance(value, Mapping):
        return value
    if value.get("type") != "allowed_tools":
        return _chosen(value, path)
    _require(value, ("mode", "tools"), path)
    tools = [_chosen(tool, (*path, "tools", index)) for index, tool in enumerate(value["tools"])]
    return {"type": "allowed_tools", "allowed_tools": {"mode": value["mode"], "tools": tools}}


def _chosen(tool: Mapping[str, Any], path: Path) -> dict[str, Any]:
    if tool.get("type") not in ("function", "custom") or not tool.get("name"):
        raise CallRejectedError((*path, "type"), "Only a function or a custom tool can be chosen.")
    return {"type": "function", "function": {"name": function_name(tool["name"], tool.get("namespace"))}}


def _response_format(wanted: object) -> dict[str, Any]:
    if not isinstance(wanted, Mapping):
        return {}
    if wanted.get("type") != "json_schema":
        return {} if wanted.get("type") == "text" else {"response_format": dict(wanted)}
    schema = {name: value for name, value in wanted.items() if name != "type"}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


Origins = list[Path]
"""Of each message: the input item, or the instructions, that it begins with."""


def messages_of(instructions: str | None, given: str | Sequence[Mapping[str, Any]]) -> tuple[list[Message], Origins]:
    """The input items as chat messages; consecutive function calls are one turn. Raises CallRejectedError."""
    messages: list[Message] = [{"role": "system", "content": instructions}] if instructions else []
    origins: Origins = [("instructions",) for _ in messages]
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}], [*origins, ("input",)]
    images: list[Message] = []
    for index, item in enumerate(given):
        images += _add(messages, item, ("input", index))
        is_last_output = index + 1 == len(given) or given[index + 1].get("type") not in OUTPUTS
        if images and is_last_output:
            messages.append({"role": "user", "content": images})
            images = []
        origins += [("input", index)] * (len(messages) - len(origins))
    return messages, origins


def name_as_sent(param: str, origins: Origins) -> str:
    """The client's own name of a parameter or message that was rejected after the translation."""
    first, *within = param.split(".")
    if first == "messages" and not within:
        return "input"
    if first == "messages" and within:
        origin, rest = origins[int(within[0])], within[1:]
        return ".".join(map(str, (*origin, *(rest if len(origin) > 1 else ()))))
    if first == "parameters" and within:
        return ".".join([NAMES.get(within[0], within[0]), *within[1:]])
    return param


OUTPUTS = ("function_call_output", "custom_tool_call_output", "tool_search_output")


def _add(messages: list[Message], item: Mapping[str, Any], path: Path) -> list[Message]:
    """Add an item's message; returns the images of a tool's output, which follow after the outputs beside it."""
    match item.get("type") or "message":
        case "message":
            _require(item, ("role",), path)
            messages.append({"role": item.get("role"), "content": _content(item.get("content"), (*path, "content"))})
        case "function_call" | "custom_tool_call" | "tool_search_call":
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": None})
            call = {"id": item.get("call_id"), "type": "function", "function": _called(item, path)}
            messages[-1].setdefault("tool_calls", []).append(call)
        case kind if kind in OUTPUTS:
            result, call_id = _result(item, path), item.get("call_id")
            text, images = (result, []) if isinstance(result, str) else split(result, call_id)
            messages.append({"role": "tool", "tool_call_id": call_id, "content": text})
            return images
        case "additional_tools" | "reasoning":
            """Tools are no turn. Reasoning is encrypted by the provider that wrote it, and has no place here."""
        case _:
            raise CallRejectedError((*path, "type"), CANNOT)
    return []


def _called(item: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The call of a function, as the translation of the tools has named it."""
    if item["type"] == "tool_search_call":
        _require(item, ("call_id", "arguments"), path)
        return {"name": SEARCH, "arguments": json.dumps(item["arguments"])}
    given = "input" if item["type"] == "custom_tool_call" else "arguments"
    _require(item, ("call_id", "name", given), path)
    if not isinstance(item[given], str):
        raise CallRejectedError((*path, given), "This must be a string.")
    name = function_name(item["name"], item.get("namespace"))
    return {"name": name, "arguments": item[given] if given == "arguments" else json.dumps({"input": item[given]})}


def _result(item: Mapping[str, Any], path: Path) -> Any:
    """What a tool returned; of a search, the tools it has found. The next call offers them."""
    if item["type"] == "tool_search_output":
        _require(item, ("call_id", "tools"), path)
        return json.dumps(item["tools"])
    _require(item, ("call_id", "output"), path)
    return _content(item["output"], (*path, "output"))


def _require(item: Mapping[str, Any], names: Iterable[str], path: Path) -> None:
    for name in names:
        if item.get(name) is None:
            raise CallRejectedError((*path, name), "This field is required.")


def _content(content: object, path: Path) -> Any:
    if not isinstance(content, list) or not content:
        return content
    parts = [_part(part, (*path, index)) for index, part in enumerate(content)]
    is_text = all(part["type"] == "text" for part in parts)
    return "\n".join(part["text"] for part in parts) if is_text else parts


def _part(part: Mapping[str, Any], path: Path) -> dict[str, Any]:
    kind = part.get("type")
    if kind in TEXT_PARTS or kind == "refusal":
        name = "refusal" if kind == "refusal" else "text"
        _require(part, (name,), path)
        return {"type": "text", "text": part[name]}
    if kind == "input_image" and part.get("image_url"):
        detail = {"detail": part["detail"]} if part.get("detail") else {}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
    raise CallRejectedError((*path, "type"), PARTS_ONLY)

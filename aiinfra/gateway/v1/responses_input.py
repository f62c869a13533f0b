"""A request to OpenAI's Responses API as chat messages and parameters. Nothing is stored between calls."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiinfra.providers.dialects.rejections import CallRejectedError, Path

SAME = frozenset(
    {"top_p", "parallel_tool_calls", "user", "metadata", "safety_identifier", "prompt_cache_key", "top_logprobs"}
)
"""Parameters with the same name and meaning in chat completions."""
WITHOUT_EFFECT = frozenset({"include", "store", "truncation", "client_metadata", "prompt_cache_retention"})
"""Parameters about what is kept at OpenAI, or about parts of the answer that chat completions do not have."""
TEXT_PARTS = ("input_text", "output_text", "text")
NAMES = {"response_format": "text.format", "reasoning_effort": "reasoning.effort", "verbosity": "text.verbosity"}
"""Parameters of chat completions, and their names here."""
CANNOT = "This is not supported: calls are stateless and are made as chat completions."

Message = dict[str, Any]


def parameters_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in the words of chat completions. Raises CallRejectedError for those that cannot be expressed."""
    parameters: dict[str, Any] = {}
    for name, value in given.items():
        if value is not None and value is not False:
            parameters.update(_translated(name, value))
    return parameters


def _translated(name: str, value: Any) -> dict[str, Any]:
    if name in SAME:
        return {name: value}
    if name in WITHOUT_EFFECT:
        return {}
    match name:
        case "tools":
            return {"tools": [_tool(tool, ("parameters", "tools", index)) for index, tool in enumerate(value)]}
        case "tool_choice":
            is_named = isinstance(value, Mapping) and value.get("type") == "function"
            return {name: {"type": "function", "function": {"name": value.get("name")}} if is_named else value}
        case "reasoning" if isinstance(value, Mapping):
            return {"reasoning_effort": value["effort"]} if value.get("effort") else {}
        case "text" if isinstance(value, Mapping):
            verbosity = {"verbosity": value["verbosity"]} if value.get("verbosity") else {}
            return {**_response_format(value.get("format")), **verbosity}
    raise CallRejectedError(("parameters", name), CANNOT)


def _tool(tool: Mapping[str, Any], path: Path) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise CallRejectedError((*path, "type"), "Only functions are supported, which the client runs.")
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


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
    for index, item in enumerate(given):
        _add(messages, item, ("input", index))
        origins += [("input", index)] * (len(messages) - len(origins))
    return messages, origins


def name_as_sent(param: str, origins: Origins) -> str:
    """The client's own name of a parameter or message that was rejected after the translation."""
    first, *within = param.split(".")
    if first == "messages" and within:
        origin, rest = origins[int(within[0])], within[1:]
        return ".".join(map(str, (*origin, *(rest if len(origin) > 1 else ()))))
    if first == "parameters" and within:
        return ".".join([NAMES.get(within[0], within[0]), *within[1:]])
    return param


def _add(messages: list[Message], item: Mapping[str, Any], path: Path) -> None:
    match item.get("type") or "message":
        case "message":
            messages.append({"role": item.get("role"), "content": _content(item.get("content"), (*path, "content"))})
        case "function_call":
            _require(item, ("call_id", "name", "arguments"), path)
            function = {"name": item["name"], "arguments": item["arguments"]}
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": None})
            call = {"id": item["call_id"], "type": "function", "function": function}
            messages[-1].setdefault("tool_calls", []).append(call)
        case "function_call_output":
            _require(item, ("call_id", "output"), path)
            content = _content(item["output"], (*path, "output"))
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})
        case "reasoning":
            """Encrypted by the provider that wrote it; chat completions have no place for it."""
        case _:
            raise CallRejectedError((*path, "type"), CANNOT)


def _require(item: Mapping[str, Any], names: Iterable[str], path: Path) -> None:
    for name in names:
        if item.get(name) is None:
            raise CallRejectedError((*path, name), "Field required")


def _content(content: object, path: Path) -> Any:
    if not isinstance(content, list):
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
    raise CallRejectedError((*path, "type"), CANNOT)

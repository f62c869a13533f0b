"""Parameters and content that a chat call may not contain, in either dialect.

Budgets are hard: each call holds its maximum cost before it leaves. A parameter whose cost has no maximum, or whose
price is not in the price book, is therefore rejected by name. All other parameters are passed on, known or not.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Path = tuple[str | int, ...]

OWN_FIELDS = {
    "model": "model",
    "messages": "messages",
    "max_tokens": "maxTokens",
    "max_completion_tokens": "maxTokens",
    "temperature": "temperature",
    "service_tier": "serviceTier",
    "timeout": "timeout",
}
"""Parameters that are fields of the request, and the field of each."""
NO_STREAM = "Streaming is not a parameter of queued requests."
NO_SEARCH = "The number of searches that the provider would run and bill is unlimited."
NO_PRICE = "The price book has no price for it."
OTHER_MODELS = "It lets the server choose other models, at other prices."
UNBOUNDED = {
    "stream": NO_STREAM,
    "stream_options": NO_STREAM,
    "web_search_options": NO_SEARCH,
    "search_parameters": NO_SEARCH,
    "plugins": NO_SEARCH,
    "audio": NO_PRICE,
    "models": OTHER_MODELS,
    "route": OTHER_MODELS,
    "container": NO_PRICE,
    "mcp_servers": "The number of tool calls that the provider would run is unlimited.",
    "inference_geo": NO_PRICE,
}
NOTHING_ASKED: tuple[object, ...] = ([], {})
"""Values of a parameter that ask for nothing, so a translation loses nothing without it."""
ONE_ONLY = ("n", "best_of")
"""Each further answer would cost as much again."""
# Tuples, not sets: what a client sends as a type may be an object, which has no hash.
PARTS = ("text", "image_url", "refusal")
"""Content parts of OpenAI's dialect whose tokens can be bounded. Audio has no price, and a file no known length."""
REFERENCE, ADDITION, REMOVAL = "tool_reference", "tool_addition", "tool_removal"
TOOL_CHANGES = (ADDITION, REMOVAL)
"""Content blocks that change the tools from there on, and have no text of their own."""
BLOCKS = (
    "text",
    "image",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "search_result",
    "document",
    REFERENCE,
    *TOOL_CHANGES,
)
"""Content blocks of Anthropic's dialect whose tokens can be bounded."""
DOCUMENT_SOURCES = ("text", "content")
"""A PDF's pages are billed as images, and their number is unknown."""
URL_STARTS = ("data:", "https://", "http://")
CLIENT_TOOLS = (
    "custom",
    "function",
    "bash_",
    "text_editor_",
    "computer_",
    "memory_",
    "browser_toolset_",
    "tool_search_",
)
"""Types of tools that the client runs, or that are not billed, by their beginning."""


class CallRejectedError(ValueError):
    """A call that cannot be made. `path` leads to the parameter or the part, from the root of the call."""

    def __init__(self, path: Path, message: str) -> None:
        self.param = ".".join(map(str, path))
        self.message = message
        super().__init__(f"{self.param}: {message}")


def check_call(messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> None:
    """Raise CallRejectedError for the first parameter or content part that cannot be sent."""
    for name, value in parameters.items():
        _check_parameter(name, value)
    for index, tool in enumerate(_objects(parameters.get("tools"), ("parameters", "tools"))):
        _check_tool(tool, ("parameters", "tools", index))
    for path, part in all_parts(messages):
        _check_part(part, path)


def _check_parameter(name: str, value: object) -> None:
    path = ("parameters", name)
    if name in OWN_FIELDS:
        raise CallRejectedError(path, f"Use the field {OWN_FIELDS[name]}.")
    if value is None:
        return
    if name in UNBOUNDED and value != []:  # an empty object can turn a feature on
        raise CallRejectedError(path, f"This parameter is not supported. {UNBOUNDED[name]}")
    if name in ONE_ONLY and value != 1:
        raise CallRejectedError(path, "Only 1 is supported: each further answer would cost as much again.")
    if name == "modalities" and value != ["text"]:
        raise CallRejectedError(path, f"Only text is supported. {NO_PRICE}")
    if name == "speed" and value != "standard":
        raise CallRejectedError(path, f"Only the standard speed is supported. {NO_PRICE}")


def _check_tool(tool: Mapping[str, Any], path: Path) -> None:
    kind = tool.get("type") or "custom"
    if not isinstance(kind, str) or not kind.startswith(CLIENT_TOOLS):
        message = "Only tools that the client runs are supported: what a provider runs has no maximum cost."
        raise CallRejectedError((*path, "type"), message)


def all_parts(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every content part with its path, those inside of tool results included."""
    for index, message in enumerate(messages):
        yield from _parts_in(message, ("messages", index))


def _parts_in(holder: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    content = holder.get("content")
    if content is None or isinstance(content, str):
        return
    within = (*path, "content")
    for index, part in enumerate(_objects(content, within)):
        yield (*within, index), part
        if part.get("type") == "tool_result":
            yield from _parts_in(part, (*within, index))


def _check_part(part: Mapping[str, Any], path: Path) -> None:
    kind = part.get("type")
    if kind not in (*PARTS, *BLOCKS):
        raise CallRejectedError((*path, "type"), "Content parts of this type are not supported.")
    if kind in ("text", "refusal") and not isinstance(part.get(kind), str):
        raise CallRejectedError((*path, kind), "This field is required.")
    if kind == "image_url":
        _check_url(part.get("image_url"), (*path, "image_url"))
    if kind == REFERENCE:
        _require_name(part, "tool_name", path)
    if kind in TOOL_CHANGES:
        _check_change(part.get("tool"), (*path, "tool"))
    source = part.get("source")
    if kind == "image" and isinstance(source, str):
        raise CallRejectedError((*path, "source"), "This must be an object.")
    if kind == "document" and (not isinstance(source, Mapping) or source.get("type") not in DOCUMENT_SOURCES):
        raise CallRejectedError((*path, "source"), "Only documents with their text are supported.")


def _check_change(tool: object, path: Path) -> None:
    """A tool of the request by its name, or a definition: tools of servers would run at the provider."""
    tool = tool if isinstance(tool, Mapping) else {}
    definition = tool.get("definition")
    if tool.get("type") == "tool_definition" and isinstance(definition, Mapping):
        _check_tool(definition, (*path, "definition"))
        _require_name(definition, "name", (*path, "definition"))
    elif tool.get("type") == REFERENCE:
        _require_name(tool, "name", path)
    else:
        raise CallRejectedError((*path, "type"), "Only a tool that the client runs can be added or removed.")


def _require_name(holder: Mapping[str, Any], name: str, path: Path) -> None:
    if not isinstance(holder.get(name), str):
        raise CallRejectedError((*path, name), "This field is required.")


def _check_url(image: object, path: Path) -> None:
    url = image.get("url") if isinstance(image, Mapping) else None
    if not isinstance(url, str) or not url.startswith(URL_STARTS):
        raise CallRejectedError((*path, "url"), "An image requires a data: or https: URL.")


def _objects(value: object, path: Path) -> list[Mapping[str, Any]]:
    """The objects of an array; none for null. Raises CallRejectedError for anything else."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise CallRejectedError(path, "This must be an array.")
    for index, each in enumerate(value):
        if not isinstance(each, Mapping):
            raise CallRejectedError((*path, index), "This must be an object.")
    return list(value)

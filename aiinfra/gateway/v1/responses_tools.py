"""The tools of a response as functions of chat completions, and the calls of these functions as output items.

Chat completions know functions only, which all providers have. A namespace becomes a prefix of its functions' names, a
custom tool a function with one text, and a tool search that the client runs a function. Web searches, which only the
provider could run, are not offered to the model.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiinfra.providers.dialects.rejections import CallRejectedError, Path

NAME_MAX = 64
"""The longest name of a function at OpenAI."""
DIGEST_LENGTH = 8
SEARCH = "tool_search"
NOT_OFFERED = ("web_search",)
"""Types, by their beginning, of tools that the model can do without. Their cost has no maximum."""
ONE_TEXT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
ONLY_CLIENT_TOOLS = "Only tools that the client runs are supported."

Object = dict[str, Any]


def function_name(name: str, namespace: str | None = None) -> str:
    """The name of a tool's function. Long ones are cut, and stay different from each other."""
    whole = f"{namespace}__{name}" if namespace else name
    if len(whole) <= NAME_MAX or not namespace:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:DIGEST_LENGTH]
    return f"{whole[: NAME_MAX - DIGEST_LENGTH - 1]}_{digest}"


@dataclass(frozen=True)
class ClientTool:
    """A tool that the client runs: a function, a custom tool, or a tool search."""

    kind: str
    name: str
    namespace: str | None = None

    def head(self, call_id: str) -> Object:
        """The fixed members of a call's item; its arguments are missing."""
        namespace = {"namespace": self.namespace} if self.namespace else {}
        kind = {"function": "function_call", "custom": "custom_tool_call"}.get(self.kind)
        if kind is None:
            return {"type": f"{SEARCH}_call", "status": "completed", "call_id": call_id, "execution": "client"}
        return {"type": kind, "status": "completed", "call_id": call_id, "name": self.name, **namespace}

    def arguments(self, text: str) -> Object:
        """The member of an item that has the arguments, which the model has written as `text`."""
        if self.kind == "function":
            return {"arguments": text}
        written = _object_in(text)
        if self.kind == "custom":
            given = written.get("input")
            return {"input": given if isinstance(given, str) else text}
        return {"arguments": written}


class Tools:
    """All tools of one request. Raises CallRejectedError for those that a client cannot run."""

    def __init__(self, offered: Iterable[tuple[Path, Mapping[str, Any]]]) -> None:
        self._functions: dict[str, Object] = {}
        self._tools: dict[str, ClientTool] = {}
        for path, tool in offered:
            self._offer(tool, path)

    @property
    def functions(self) -> list[Object]:
        """The tools of the chat completion."""
        return [{"type": "function", "function": function} for function in self._functions.values()]

    def called(self, name: str) -> ClientTool:
        """The tool whose function the model calls; also one that it made up."""
        return self._tools.get(name) or ClientTool("function", name)

    def _offer(self, tool: Mapping[str, Any], path: Path, namespace: str | None = None) -> None:
        kind = str(tool.get("type"))
        if kind == "namespace" and namespace is None:
            for index, each in enumerate(tool.get("tools") or ()):
                self._offer(each, (*path, "tools", index), str(tool.get("name")))
        elif kind in ("function", "custom") or (kind == SEARCH and tool.get("execution") == "client"):
            name = SEARCH if kind == SEARCH else tool.get("name")
            if not name:
                raise CallRejectedError((*path, "name"), "This field is required.")
            function = function_name(name, namespace)
            self._tools[function] = ClientTool(kind, name, namespace)
            self._functions[function] = {**_described(tool), "name": function}
        elif not kind.startswith(NOT_OFFERED):
            raise CallRejectedError((*path, "type"), ONLY_CLIENT_TOOLS)


def _described(tool: Mapping[str, Any]) -> Object:
    """What the model learns about a tool. A custom tool's grammar is part of its description."""
    if tool.get("type") != "custom":
        return {name: tool[name] for name in ("name", "description", "parameters", "strict") if name in tool}
    form = tool.get("format")
    grammar = form.get("definition") if isinstance(form, Mapping) else None
    texts = [tool.get("description"), f"The input follows this grammar:\n{grammar}" if grammar else None]
    return {"description": "\n\n".join(filter(None, texts)), "parameters": ONE_TEXT}


def _object_in(text: str) -> Object:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

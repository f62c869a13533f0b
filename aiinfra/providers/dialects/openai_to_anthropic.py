"""Translates a call from OpenAI's chat completions to Anthropic's messages.

Nothing is lost silently: what Anthropic cannot express raises CallRejectedError with the path of the parameter. Only
parameters without effect on the answer, and values that equal the default, are left out. So is the temperature, which
the API rejects for every model since its version 2026-10-21.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aiinfra.providers.dialects.rejections import NOTHING_ASKED, CallRejectedError, Path

SYSTEM_ROLES = frozenset({"system", "developer"})
PASSED_ON = frozenset({"thinking", "top_k", "cache_control", "output_config", "context_management"})
"""Anthropic's own parameters, which OpenAI's clients can send as further members of the body."""
WITHOUT_EFFECT = frozenset(
    {"metadata", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "user", "safety_identifier"}
)
DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "top_p": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "store": (False,),
    "verbosity": ("medium",),
    "modalities": (["text"],),
}
"""Parameters that Anthropic lacks, and the values that ask for nothing."""
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
TOOL_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
NO_PARAMETERS = {"type": "object", "properties": {}}
CANNOT = "Anthropic's dialect can't express this."
EMPTY = "Anthropic's models need text here."


def to_anthropic(messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The body of the call, without the model and the token limit. Raises CallRejectedError."""
    system, turns = split_messages(messages)
    body: dict[str, Any] = {"messages": turns, **({"system": system} if system else {})}
    given = {name: value for name, value in parameters.items() if value is not None}
    for name, value in given.items():
        body.update(_translated(name, value))
    if efforts := _output_config(given):
        body["output_config"] = efforts
    if choice := _tool_choice(given):
        body["tool_choice"] = choice
    return body


def _translated(name: str, value: Any) -> dict[str, Any]:
    """What one parameter adds to the body; nothing for those that are translated together with others."""
    path = ("parameters", name)
    match name:
        case "stop":
            return {"stop_sequences": [value] if isinstance(value, str) else value}
        case "tools":
            return {"tools": [_tool(tool, (*path, index)) for index, tool in enumerate(value)]}
        case "user" | "safety_identifier":
            return {"metadata": {"user_id": value}}
        case "reasoning_effort" if value == "none":
            return {"thinking": {"type": "disabled"}}
        case "tool_choice" | "parallel_tool_calls" | "response_format" | "reasoning_effort" | "output_config":
            return {}
    if name in WITHOUT_EFFECT or value in (*NOTHING_ASKED, *DEFAULTS.get(name, ())):
        return {}
    if name in PASSED_ON:
        return {name: value}
    raise CallRejectedError(path, CANNOT)


def _tool(tool: Mapping[str, Any], path: Path) -> dict[str, Any]:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, Mapping):
        raise CallRejectedError((*path, "type"), CANNOT)
    kept = {name: function[name] for name in ("name", "description", "strict") if function.get(name) is not None}
    cached = {"cache_control": tool["cache_control"]} if "cache_control" in tool else {}
    return {**kept, "input_schema": function.get("parameters") or NO_PARAMETERS, **cached}


def _tool_choice(given: Mapping[str, Any]) -> dict[str, Any]:
    """One object for OpenAI's `tool_choice` and `parallel_tool_calls`; empty for the default."""
    asked, path = given.get("tool_choice"), ("parameters", "tool_choice")
    choice: dict[str, Any] = {}
    if isinstance(asked, str):
        if asked not in TOOL_CHOICES:
            raise CallRejectedError(path, CANNOT)
        choice = {"type": TOOL_CHOICES[asked]}
    elif asked is not None:
        function = asked.get("function") if isinstance(asked, Mapping) else None
        if not isinstance(function, Mapping) or "name" not in function:
            raise CallRejectedError(path, CANNOT)
        choice = {"type": "tool", "name": function["name"]}
    if given.get("parallel_tool_calls") is False and given.get("tools") and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return choice


def _output_config(given: Mapping[str, Any]) -> dict[str, Any]:
    config = dict(given.get("output_config") or {})
    effort = given.get("reasoning_effort")
    if effort is not None and effort != "none":
        if not isinstance(effort, str) or effort not in EFFORTS:
            raise CallRejectedError(("parameters", "reasoning_effort"), CANNOT)
        config["effort"] = EFFORTS[effort]
    if schema := _schema(given.get("response_format")):
        config["format"] = {"type": "json_schema", "schema": schema}
    return config


def _schema(response_format: object) -> object:
    """The JSON schema of the answer; None for plain text."""
    if response_format is None:
        return None
    path = ("parameters", "response_format")
    if not isinstance(response_format, Mapping):
        raise CallRejectedError(path, "This must be an object.")
    if response_format.get("type") == "text":
        return None
    wanted = response_format.get("json_schema")
    if response_format.get("type") != "json_schema" or not isinstance(wanted, Mapping) or not wanted.get("schema"):
        raise CallRejectedError((*path, "type"), f"{CANNOT} Use a JSON schema.")
    return wanted["schema"]


def split_messages(
    messages: Sequence[Mapping[str, Any]],
) -> tuple[str | list[dict[str, Any]], list[dict[str, Any]]]:
    """The system prompt and the turns: joins system messages and merges consecutive turns of the same role.

    If there are only system messages, they become the user's turn: Anthropic rejects a call without one. Raises
    CallRejectedError for messages that Anthropic's dialect cannot express, such as a user's turn without text.
    """
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    came_from: list[int] = []
    for index, message in enumerate(messages):
        path: Path = ("messages", index)
        if message.get("role") in SYSTEM_ROLES:
            system += _only_text(_blocks(message.get("content"), path), path)
            continue
        role, blocks = _turn(message, path)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks or role == "user":
            turns.append({"role": role, "content": blocks})
            came_from.append(index)
    if system and not turns:
        return "", [{"role": "user", "content": [{"type": "text", "text": _joined(system)}]}]
    _check_texts(turns, came_from)
    return system if any("cache_control" in block for block in system) else _joined(system), turns


def _check_texts(turns: Sequence[Mapping[str, Any]], came_from: Sequence[int]) -> None:
    """Raise CallRejectedError for a turn of the user that says nothing, and for a call without any turn."""
    empty = [index for turn, index in zip(turns, came_from, strict=True) if not turn["content"]]
    if empty or not turns:
        raise CallRejectedError(("messages", empty[0] if empty else 0, "content"), EMPTY)


def _joined(blocks: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join(block["text"] for block in blocks)


def _only_text(blocks: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    for block in blocks:
        if block["type"] != "text":
            raise CallRejectedError((*path, "content"), CANNOT)
    return blocks


def _turn(message: Mapping[str, Any], path: Path) -> tuple[str, list[dict[str, Any]]]:
    if message.get("name"):
        raise CallRejectedError((*path, "name"), CANNOT)
    match message.get("role"):
        case "user":
            return "user", _blocks(message.get("content"), path)
        case "assistant":
            return "assistant", _assistant_blocks(message, path)
        case "tool" if "tool_call_id" in message:
            result = {"type": "tool_result", "tool_use_id": message["tool_call_id"]}
            return "user", [{**result, "content": _blocks(message.get("content"), path)}]
        case "tool":
            raise CallRejectedError((*path, "tool_call_id"), "This field is required.")
    raise CallRejectedError((*path, "role"), CANNOT)


def _assistant_blocks(message: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """Thinking comes first, with its signatures, as Anthropic demands of turns that called a tool."""
    for name in ("function_call", "audio"):
        if message.get(name):
            raise CallRejectedError((*path, name), CANNOT)
    thinking = list(message.get("thinking_blocks") or [])
    refusal = _blocks(message.get("refusal"), path)
    calls = message.get("tool_calls") or []
    uses = [_tool_use(call, (*path, "tool_calls", index)) for index, call in enumerate(calls)]
    return [*thinking, *_blocks(message.get("content"), path), *refusal, *uses]


def _blocks(content: object, path: Path) -> list[dict[str, Any]]:
    """Content blocks; empty texts are dropped because Anthropic rejects them."""
    if content is None:
        return []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list):
        raise CallRejectedError((*path, "content"), CANNOT)
    blocks = [_block(part, (*path, "content", i)) for i, part in enumerate(parts)]
    return [block for block in blocks if block.get("text") != ""]


def _block(part: Mapping[str, Any], path: Path) -> dict[str, Any]:
    cached = {"cache_control": part["cache_control"]} if part.get("cache_control") else {}
    match part.get("type"):
        case "text" if isinstance(part.get("text"), str):
            return {"type": "text", "text": part["text"], **cached}
        case "refusal" if isinstance(part.get("refusal"), str):
            return {"type": "text", "text": part["refusal"]}
        case "image_url" if isinstance(part.get("image_url"), Mapping):
            return {"type": "image", "source": _source(str(part["image_url"].get("url"))), **cached}
    raise CallRejectedError((*path, "type"), CANNOT)


def _source(url: str) -> dict[str, Any]:
    if data := re.fullmatch(r"data:([\w/+.-]+);base64,(.+)", url, re.DOTALL):
        return {"type": "base64", "media_type": data[1], "data": data[2]}
    return {"type": "url", "url": url}


def _tool_use(call: object, path: Path) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping) or not call.get("id"):
        raise CallRejectedError(path, CANNOT)
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except (TypeError, ValueError):
        raise CallRejectedError((*path, "function", "arguments"), "The arguments are not valid JSON.") from None
    return {"type": "tool_use", "id": call["id"], "name": function.get("name"), "input": arguments}

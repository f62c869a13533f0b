"""Translates a call from Anthropic's messages to OpenAI's chat completions.

What OpenAI's dialect cannot express raises CallRejectedError with the path of the parameter. Three things are left
out: marks for prompt caching, because OpenAI's servers cache by themselves; the thinking of earlier turns, whose
signatures only Anthropic can check; and wishes to clear parts of a long prompt, which change its price alone.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiinfra.providers.dialects.rejections import NOTHING_ASKED, REFERENCE, TOOL_CHANGES, CallRejectedError, Path
from aiinfra.providers.dialects.tool_changes import offered
from aiinfra.providers.dialects.tool_images import split

APART = ("system", "tools")
"""Parameters that are translated together with the messages."""
SAME = frozenset({"top_p"})
WITHOUT_EFFECT = frozenset({"cache_control", "diagnostics", "metadata"})
DEFAULTS: Mapping[str, Any] = {"speed": "standard"}
TOOL_CHOICES = {"auto": "auto", "none": "none", "any": "required"}
EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "xhigh"}
BUDGETS = ((2_048, "low"), (8_192, "medium"))
"""Thinking budgets in tokens and the reasoning effort up to each; above the last one, it is high."""
THINKING = frozenset({"thinking", "redacted_thinking"})
USER_MAX = 64
"""The longest user at OpenAI. Claude Code sends more than twice as many characters."""
CLEARING = "clear_"
"""How the types of edits begin that only remove old parts of the prompt."""
CANNOT = "OpenAI's dialect can't express this."

Call = tuple[list[dict[str, Any]], dict[str, Any]]


def to_openai(messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> Call:
    """Messages and parameters in OpenAI's dialect. Raises CallRejectedError."""
    turns = _system(parameters.get("system"))
    for index, message in enumerate(messages):
        turns += _turns(message, ("messages", index))
    declared = parameters.get("tools") or ()
    tools = [_tool(tool, path) for path, tool in offered(messages, declared)]
    translated: dict[str, Any] = {"tools": tools} if tools else {}
    apart = (*APART, "tool_choice") if declared and not tools else APART
    for name, value in parameters.items():
        if value is not None and name not in apart:
            translated.update(_translated(name, value))
    return turns, translated


def _translated(name: str, value: Any) -> dict[str, Any]:
    path = ("parameters", name)
    match name:
        case "stop_sequences":
            return {"stop": value}
        case "tool_choice":
            return _tool_choice(value, path)
        case "thinking":
            return _effort_of(value)
        case "output_config":
            return _output(value, path)
        case "metadata":
            return {"user": _user(value["user_id"])} if isinstance(value, Mapping) and value.get("user_id") else {}
        case "context_management" if _only_clears(value):
            return {}
    if name in WITHOUT_EFFECT or value in (*NOTHING_ASKED, DEFAULTS.get(name)):
        return {}
    if name in SAME:
        return {name: value}
    raise CallRejectedError(path, CANNOT)


def _user(user_id: str) -> str:
    return user_id if len(user_id) <= USER_MAX else hashlib.sha256(user_id.encode()).hexdigest()


def _only_clears(management: object) -> bool:
    edits = management.get("edits") if isinstance(management, Mapping) else None
    return isinstance(edits, list) and all(map(_clears, edits))


def _clears(edit: object) -> bool:
    return isinstance(edit, Mapping) and str(edit.get("type")).startswith(CLEARING)


def _tool(tool: Mapping[str, Any], path: Path) -> dict[str, Any]:
    if (tool.get("type") or "custom") != "custom":
        raise CallRejectedError((*path, "type"), CANNOT)
    kept = {name: tool[name] for name in ("name", "description", "strict") if tool.get(name) is not None}
    return {"type": "function", "function": {**kept, "parameters": tool.get("input_schema")}}


def _tool_choice(choice: object, path: Path) -> dict[str, Any]:
    if not isinstance(choice, Mapping):
        raise CallRejectedError(path, "This must be an object.")
    kind = choice.get("type")
    alone = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") else {}
    if kind == "tool":
        return {"tool_choice": {"type": "function", "function": {"name": choice.get("name")}}, **alone}
    if not isinstance(kind, str) or kind not in TOOL_CHOICES:
        raise CallRejectedError((*path, "type"), CANNOT)
    return {"tool_choice": TOOL_CHOICES[kind], **alone}


def _effort_of(thinking: object) -> dict[str, Any]:
    """The reasoning effort for a thinking budget; without a budget, the model decides."""
    budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    if not isinstance(budget, int):
        return {}
    return {"reasoning_effort": next((effort for most, effort in BUDGETS if budget <= most), "high")}


def _output(config: object, path: Path) -> dict[str, Any]:
    if not isinstance(config, Mapping):
        raise CallRejectedError(path, "This must be an object.")
    output: dict[str, Any] = {}
    if effort := config.get("effort"):
        if not isinstance(effort, str):
            raise CallRejectedError((*path, "effort"), CANNOT)
        output["reasoning_effort"] = EFFORTS.get(effort, effort)
    if wanted := config.get("format"):
        schema = {"name": "answer", "schema": wanted.get("schema"), "strict": True}
        output["response_format"] = {"type": "json_schema", "json_schema": schema}
    return output


def _system(system: object) -> list[dict[str, Any]]:
    if not system:
        return []
    return [
        {"role": "system", "content": system if isinstance(system, str) else _text_of(system, ("parameters", "system"))}
    ]


def _text_of(blocks: object, path: Path) -> str:
    """The text of blocks that are all text."""
    if isinstance(blocks, str):
        return blocks
    if not isinstance(blocks, list):
        raise CallRejectedError(path, CANNOT)
    for index, block in enumerate(blocks):
        if block.get("type") != "text":
            raise CallRejectedError((*path, index, "type"), CANNOT)
    return "\n\n".join(_required(block, "text", (*path, index)) for index, block in enumerate(blocks))


def _required(holder: Mapping[str, Any], name: str, path: Path) -> str:
    text = holder.get(name)
    if not isinstance(text, str):
        raise CallRejectedError((*path, name), "This field is required.")
    return text


def _turns(message: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """One or more messages: in OpenAI's dialect, each tool result is a separate message, before the user's text.

    The images of all results follow together, because nothing may come between the results.
    """
    role, content, within = message.get("role"), message.get("content"), (*path, "content")
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    if role == "assistant":
        return [_assistant(content or [], within)]
    results: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for index, block in enumerate(content or []):
        if block.get("type") == "tool_result":
            result, shown = _tool_result(block, (*within, index))
            results.append(result)
            images += shown
        elif block.get("type") not in TOOL_CHANGES:
            parts.append(_part(block, (*within, index)))
    said = [*images, *parts]
    return [*results, {"role": role, "content": said}] if said else results


def _assistant(blocks: Sequence[Mapping[str, Any]], path: Path) -> dict[str, Any]:
    calls = [_tool_call(block) for block in blocks if block.get("type") == "tool_use"]
    rest = [block for block in blocks if block.get("type") not in ("tool_use", *THINKING)]
    text = _text_of(rest, path)
    return {"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}


def _tool_call(block: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": block.get("name"), "arguments": json.dumps(block.get("input") or {})}
    return {"id": block.get("id"), "type": "function", "function": function}


def _tool_result(block: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The tool message, and the images that it cannot have."""
    call_id, content, within = block.get("tool_use_id"), block.get("content") or "", (*path, "content")
    if isinstance(content, str):
        return {"role": "tool", "tool_call_id": call_id, "content": content}, []
    if not isinstance(content, list):
        raise CallRejectedError(within, CANNOT)
    text, images = split([_part(part, (*within, index)) for index, part in enumerate(content)], call_id)
    return {"role": "tool", "tool_call_id": call_id, "content": text}, images


def _part(block: Mapping[str, Any], path: Path) -> dict[str, Any]:
    source, within = block.get("source"), (*path, "source")
    match block.get("type"):
        case "text":
            return {"type": "text", "text": _required(block, "text", path)}
        case kind if kind == REFERENCE:
            return {"type": "text", "text": f"The tool {block['tool_name']} is available now."}
        case "image" if isinstance(source, Mapping) and source.get("type") == "base64":
            media_type, data = (_required(source, name, within) for name in ("media_type", "data"))
            url = f"data:{media_type};base64,{data}"
            return {"type": "image_url", "image_url": {"url": url}}
        case "image" if isinstance(source, Mapping) and source.get("type") == "url":
            return {"type": "image_url", "image_url": {"url": _required(source, "url", within)}}
        case "document" if isinstance(source, Mapping) and source.get("type") == "text":
            return {"type": "text", "text": _required(source, "data", within)}
    raise CallRejectedError((*path, "type"), CANNOT)

"""Converts OpenAI's message list to Anthropic's."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aiinfra.providers.base import ErrorCode, ProviderError

SYSTEM_ROLES = frozenset({"system", "developer"})


def split_messages(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """The system prompt and the turns: joins system messages and merges consecutive turns of the same role.

    If there are only system messages, they become the user's turn: Anthropic rejects a call without one. Raises
    ProviderError (INVALID_REQUEST, nothing sent) for messages that Anthropic's dialect cannot express.
    """
    try:
        return _split(messages)
    except (KeyError, TypeError, ValueError, AttributeError):
        message = "a message cannot be expressed in Anthropic's dialect"
        raise ProviderError(ErrorCode.INVALID_REQUEST, message, may_be_billed=False) from None


def _split(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    system: list[str] = []
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] in SYSTEM_ROLES:
            system += [block["text"] for block in _blocks(message["content"])]
            continue
        role, blocks = _turn(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    words = "\n\n".join(system)
    if words and not turns:
        return "", [{"role": "user", "content": [{"type": "text", "text": words}]}]
    return words, turns


def _turn(message: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    match message["role"]:
        case "user":
            return "user", _blocks(message["content"])
        case "assistant":
            return "assistant", _blocks(message.get("content")) + [
                _tool_use(c) for c in message.get("tool_calls") or []
            ]
        case "tool":
            result = {"type": "tool_result", "tool_use_id": message["tool_call_id"]}
            return "user", [{**result, "content": _blocks(message["content"])}]
    raise ValueError(message["role"])


def _blocks(content: str | Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """Content blocks; empty texts are dropped because Anthropic rejects them."""
    if content is None:
        return []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [_block(part) for part in parts if part.get("text") != ""]


def _block(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]}
    if part["type"] != "image_url":
        raise ValueError(part["type"])
    url = part["image_url"]["url"]
    if data := re.fullmatch(r"data:([\w/+.-]+);base64,(.+)", url, re.DOTALL):
        return {"type": "image", "source": {"type": "base64", "media_type": data[1], "data": data[2]}}
    return {"type": "image", "source": {"type": "url", "url": url}}


def _tool_use(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {"type": "tool_use", "id": call["id"], "name": function["name"], "input": json.loads(function["arguments"])}

"""Answers as Anthropic's messages. Pure functions."""

import json
from collections.abc import Mapping
from typing import Any

from aiinfra.gateway.v1.openai_completion import answering_model
from aiinfra.gateway.v1.reported_usage import reported_usage, with_further
from aiinfra.providers.base import Dialect, TokenUsage
from queue_app.facade import RequestStatus

STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
"""Finish reason -> Anthropic's stop reason."""


def message_from(status: RequestStatus) -> dict[str, Any]:
    """A completed request as a message."""
    response = status.response or {}
    native = response.get("native") or {}
    return {
        **native.get("further", {}),
        "id": f"msg_{status.request.id.hex}",
        "type": "message",
        "role": "assistant",
        "model": answering_model(status),
        "content": native.get("content") or blocks_of(response),
        "stop_reason": native.get("stop_reason") or STOP_REASONS.get(str(response.get("finishReason")), "end_turn"),
        "stop_sequence": native.get("stop_sequence"),
        "usage": with_further(usage_of(status.usage or TokenUsage()), reported_usage(status, Dialect.ANTHROPIC)),
    }


def blocks_of(response: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The answer of another provider as blocks: reasoning first, then the text, then the tool calls."""
    reasoning = ((response.get("native") or {}).get("message") or {}).get("reasoning_content")
    thinking = [{"type": "thinking", "thinking": reasoning, "signature": ""}] if reasoning else []
    text = [{"type": "text", "text": response["content"]}] if response.get("content") else []
    return [*thinking, *text, *(_tool_use(call) for call in response.get("toolCalls") or ())]


def _tool_use(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except ValueError:
        arguments = {"arguments": function["arguments"]}  # a model that wrote no JSON: the client sees what it wrote
    return {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": arguments}


def usage_of(usage: TokenUsage) -> dict[str, Any]:
    """Tokens as Anthropic counts them: the input without its cached parts. All zero for an answer of the cache."""
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }

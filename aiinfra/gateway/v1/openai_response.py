"""Answers as OpenAI's responses. Pure functions."""

from collections.abc import Mapping
from typing import Any

from aiinfra.gateway.v1.openai_completion import answering_model, message_of
from aiinfra.gateway.v1.responses_tools import Tools
from aiinfra.providers.base import TokenUsage
from queue_app.facade import AIRequest, RequestStatus

CUT_OFF = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reasons of an incomplete answer, in the Responses API's terms."""
ECHOED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "reasoning",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
)
"""Parameters that a response repeats, with their defaults."""
DEFAULTS: Mapping[str, Any] = {
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "truncation": "disabled",
}


def envelope_of(request: AIRequest, model: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a response repeats in each of its states. `asked` are the parameters of the request."""
    parameters = {**DEFAULTS, **asked}
    return {
        "id": f"resp_{request.id.hex}",
        "object": "response",
        "created_at": int(request.created_at.timestamp()),
        "model": model,
        "error": None,
        "incomplete_details": None,
        **{name: parameters.get(name) for name in ECHOED},
    }


def response_of(status: RequestStatus, asked: Mapping[str, Any], tools: Tools) -> dict[str, Any]:
    """A completed request as a response. `tools` are those of the request."""
    answer = status.response or {}
    cut_off = CUT_OFF.get(str(answer.get("finishReason")))
    return {
        **envelope_of(status.request, answering_model(status), asked),
        "status": "incomplete" if cut_off else "completed",
        "output": output_of(message_of(answer), status.request.id.hex, tools),
        "usage": usage_of(status.usage or TokenUsage()),
        "incomplete_details": {"reason": cut_off} if cut_off else None,
    }


def output_of(message: Mapping[str, Any], name: str, tools: Tools) -> list[dict[str, Any]]:
    """The items of an answer: reasoning, the message, calls of tools."""
    items: list[dict[str, Any]] = []
    if reasoning := message.get("reasoning_content"):
        summary = [{"type": "summary_text", "text": reasoning}]
        items.append({"id": f"rs_{name}_0", "type": "reasoning", "summary": summary})
    text, refusal = message.get("content"), message.get("refusal")
    if text or refusal or not message.get("tool_calls"):
        said: dict[str, Any] = {"type": "output_text", "text": text or "", "annotations": []}
        part = {"type": "refusal", "refusal": refusal} if refusal else said
        fixed = {"type": "message", "status": "completed", "role": "assistant"}
        items.append({"id": f"msg_{name}_{len(items)}", **fixed, "content": [part]})
    for call in message.get("tool_calls") or ():
        function = call["function"]
        tool = tools.called(function["name"])
        called = {**tool.head(call["id"]), **tool.arguments(function["arguments"])}
        items.append({"id": f"fc_{name}_{len(items)}", **called})
    return items


def usage_of(usage: TokenUsage) -> dict[str, Any]:
    """Tokens as the Responses API counts them. All zero for an answer of the cache."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }

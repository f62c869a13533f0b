"""Answers as OpenAI's chat completions. Pure functions."""

from collections.abc import Mapping
from typing import Any

from aiinfra.gateway.v1.reported_usage import reported_usage, with_further
from aiinfra.providers.base import Dialect, TokenUsage
from queue_app.facade import AIRequest, RequestStatus

TIER = "service_tier"
"""OpenAI names the service tier next to the usage, with which it is stored."""
THINKING = frozenset({"thinking", "redacted_thinking"})


def completion_of(status: RequestStatus) -> dict[str, Any]:
    """A completed request as a chat completion."""
    response = status.response or {}
    tier = reported_usage(status, Dialect.OPENAI).get(TIER)
    choice = {
        **_native(response).get("choice", {}),
        "index": 0,
        "message": message_of(response),
        "logprobs": _native(response).get("logprobs"),
        "finish_reason": response.get("finishReason"),
    }
    return {
        **_native(response).get("completion", {}),
        **envelope_of(status.request, answering_model(status)),
        **({TIER: tier} if tier else {}),
        "object": "chat.completion",
        "choices": [choice],
        "usage": usage_of(status),
        "system_fingerprint": _native(response).get("system_fingerprint"),
    }


def envelope_of(request: AIRequest, model: str) -> dict[str, Any]:
    """What a completion and all of its chunks repeat."""
    return {"id": f"chatcmpl-{request.id.hex}", "created": int(request.created_at.timestamp()), "model": model}


def message_of(response: Mapping[str, Any]) -> dict[str, Any]:
    """The assistant's message, which a client can send back unchanged: with thinking, its signatures and tool calls."""
    text, calls = response.get("content") or "", response.get("toolCalls")
    refused = bool(response.get("refused"))
    message = {
        "role": "assistant",
        "content": None if refused or (calls and not text) else text,
        "refusal": text if refused else None,
        **({"tool_calls": calls} if calls else {}),
        **_native(response).get("message", {}),
    }
    if thinking := [part for part in response.get("parts", ()) if part.get("type") in THINKING]:
        message["reasoning_content"] = "".join(part.get("thinking", "") for part in thinking)
        message["thinking_blocks"] = thinking
    return message


def usage_of(status: RequestStatus) -> dict[str, Any]:
    """Tokens as OpenAI counts them: the prompt with its cached parts. All zero for an answer of the cache."""
    usage = status.usage or TokenUsage()
    counts = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
    reported = reported_usage(status, Dialect.OPENAI)
    return with_further(counts, {name: value for name, value in reported.items() if name != TIER})


def answering_model(status: RequestStatus) -> str:
    """The model that answered, which a fallback or a budget may have chosen."""
    return status.attempts[-1].model if status.attempts else status.request.model


def _native(response: Mapping[str, Any]) -> Mapping[str, Any]:
    native: Mapping[str, Any] = response.get("native") or {}
    return native

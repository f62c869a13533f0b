"""`POST /v1/chat/completions`: OpenAI's chat completions.

The conversion of request and answer is apart from how the call is run: `submission_from`, `completion_of` and
`chunks_of` are pure.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import pydantic_core
from django.http import HttpResponse, StreamingHttpResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from aiinfra.api import WHOLE_FLOATS, ApiCall, Operation
from aiinfra.gateway.v1.call_headers import headers_of, options_from
from aiinfra.gateway.v1.door import OpenAIDoor, OpenBody, json_of
from aiinfra.gateway.v1.model_names import resolve
from aiinfra.gateway.v1.running import run
from aiinfra.providers.base import TokenUsage
from queue_app.api import Message, contract_errors, submission_of
from queue_app.facade import RequestStatus, Submission

Limit = Annotated[int, Field(ge=1, le=131_072), WHOLE_FLOATS]
STANDARD = {"default": "standard"}
"""OpenAI's name of a service tier, and ours."""
THINKING = frozenset({"thinking", "redacted_thinking"})


class ChatCompletionRequest(OpenBody):
    """A chat call. All parameters are passed on; those below are read here."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=161)]
    messages: Annotated[list[Message], Field(min_length=1)]
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None


class ChatCompletion(BaseModel):
    """The answer, as OpenAI sends it."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[dict[str, Any]]
    usage: dict[str, Any] | None


def submission_from(call: ApiCall, body: ChatCompletionRequest) -> Submission:
    """The call as the queue knows it. Raises ApiError and InvalidValueError for what cannot be sent."""
    provider, model = resolve(body.model)
    fields = {
        "messages": [message.model_dump(exclude_unset=True) for message in body.messages],
        "maxTokens": body.max_completion_tokens or body.max_tokens,
        "temperature": body.temperature,
        "serviceTier": STANDARD.get(body.service_tier or "", body.service_tier),
        "parameters": body.model_extra or {},
    }
    return submission_of(call, options_from(call.http, fields), provider, model)


def completion_of(status: RequestStatus) -> dict[str, Any]:
    """A completed request as a chat completion."""
    response = status.response or {}
    choice = {
        "index": 0,
        "message": message_of(response),
        "logprobs": _native(response).get("logprobs"),
        "finish_reason": response.get("finishReason"),
    }
    return {
        "id": f"chatcmpl-{status.request.id.hex}",
        "object": "chat.completion",
        "created": int(status.request.created_at.timestamp()),
        "model": answering_model(status),
        "choices": [choice],
        "usage": usage_of(status.usage or TokenUsage()),
        "system_fingerprint": _native(response).get("system_fingerprint"),
    }


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


def usage_of(usage: TokenUsage) -> dict[str, Any]:
    """Tokens as OpenAI counts them: the prompt with its cached parts. All zero for an answer of the cache."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def answering_model(status: RequestStatus) -> str:
    """The model that answered, which a fallback or a budget may have chosen."""
    return status.attempts[-1].model if status.attempts else status.request.model


def chunks_of(completion: Mapping[str, Any], *, with_usage: bool) -> Iterator[bytes]:
    """A whole completion as a stream: the same events that a provider would send, in fewer pieces."""
    envelope = {name: completion[name] for name in ("id", "created", "model", "system_fingerprint")}
    envelope["object"] = "chat.completion.chunk"
    [choice] = completion["choices"]
    message = choice["message"]
    calls = [{**call, "index": index} for index, call in enumerate(message.get("tool_calls", ()))]
    rest = {name: value for name, value in message.items() if name not in {"role", "tool_calls"} and value is not None}
    deltas = [{"role": "assistant", "content": ""}, rest, *([{"tool_calls": calls}] if calls else [])]
    for delta in deltas:
        yield _event({**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _event({**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    if with_usage:
        yield _event({**envelope, "choices": [], "usage": completion["usage"]})
    yield b"data: [DONE]\n\n"


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + pydantic_core.to_json(data) + b"\n\n"


def _native(response: Mapping[str, Any]) -> Mapping[str, Any]:
    native: Mapping[str, Any] = response.get("native") or {}
    return native


def chat_completions(call: ApiCall, body: ChatCompletionRequest) -> HttpResponse | StreamingHttpResponse:
    """Answer a chat call on the same connection."""
    with contract_errors():
        status = run(submission_from(call, body), call.http)
    completion, headers = completion_of(status), headers_of(status)
    if not body.stream:
        return json_of(completion, headers=headers)
    with_usage = bool((body.stream_options or {}).get("include_usage"))
    events = chunks_of(completion, with_usage=with_usage)
    return StreamingHttpResponse(events, content_type="text/event-stream", headers=headers)


chat_completions_endpoint = OpenAIDoor(
    {
        ("POST", None): Operation(
            chat_completions,
            "chat:write",
            ChatCompletionRequest,
            ChatCompletion,
            "Create a chat completion (OpenAI)",
            once="own",
        )
    }
)

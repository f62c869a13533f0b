"""`POST /v1/messages` and `/v1/messages/count_tokens`: Anthropic's messages.

For Anthropic's own models the call is passed on as it came, and the answer's blocks come back as they were sent, with
the signatures of thinking. For other models both are translated.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import pydantic_core
from django.http import HttpResponse, StreamingHttpResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from aiinfra.api import WHOLE_FLOATS, ApiCall, Operation
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.anthropic_door import AnthropicDoor
from aiinfra.gateway.v1.call_headers import headers_of, options_from
from aiinfra.gateway.v1.door import OpenBody, json_of
from aiinfra.gateway.v1.model_names import resolve
from aiinfra.gateway.v1.openai_completion import answering_model
from aiinfra.gateway.v1.running import run
from aiinfra.providers.base import Dialect, TokenUsage
from aiinfra.providers.dialects.rejections import CallRejectedError
from aiinfra.providers.dialects.shapes import check_shape
from cost_app import create_cost_optimizer
from queue_app.api import Message, contract_errors, submission_of
from queue_app.facade import RequestStatus, Submission

PASSED_ON = ("anthropic-beta", "anthropic-version")
TIERS = {"auto": "auto", "standard_only": "standard"}
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
"""Our finish reasons in Anthropic's words."""
DELTAS = {"text": ("text", "text_delta"), "thinking": ("thinking", "thinking_delta")}

cost = create_cost_optimizer()


class CountTokensRequest(OpenBody):
    """A call whose prompt is counted."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=161)]
    messages: Annotated[list[Message], Field(min_length=1)]


class MessagesRequest(CountTokensRequest):
    """A call. All parameters are passed on; those below are read here."""

    max_tokens: Annotated[int, Field(ge=1, le=131_072), WHOLE_FLOATS]
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    stream: bool | None = None


class AnthropicMessage(BaseModel):
    """The answer, as Anthropic sends it."""

    model_config = ConfigDict(extra="allow")

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None
    usage: dict[str, Any]


class CountedTokens(BaseModel):
    """An estimate from the length of the prompt; no provider is called."""

    input_tokens: int


def submission_from(call: ApiCall, body: MessagesRequest) -> Submission:
    """The call as the queue knows it. Raises ApiError and InvalidValueError for what cannot be sent."""
    provider, model = resolve(body.model, provider="anthropic")
    fields = {
        "messages": [message.model_dump(exclude_unset=True) for message in body.messages],
        "maxTokens": body.max_tokens,
        "temperature": body.temperature,
        "serviceTier": TIERS.get(body.service_tier or ""),
        "parameters": body.model_extra or {},
    }
    headers = {name: value for name in PASSED_ON if (value := call.http.headers.get(name))}
    options = options_from(call.http, fields)
    return submission_of(call, options, provider, model, dialect=Dialect.ANTHROPIC, headers=headers)


def message_from(status: RequestStatus) -> dict[str, Any]:
    """A completed request as a message."""
    response = status.response or {}
    native = response.get("native") or {}
    return {
        "id": f"msg_{status.request.id.hex}",
        "type": "message",
        "role": "assistant",
        "model": answering_model(status),
        "content": native.get("content") or blocks_of(response),
        "stop_reason": native.get("stop_reason") or STOP_REASONS.get(str(response.get("finishReason")), "end_turn"),
        "stop_sequence": native.get("stop_sequence"),
        "usage": usage_of(status.usage or TokenUsage()),
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


def events_of(message: Mapping[str, Any]) -> Iterator[bytes]:
    """A whole message as a stream: the same events that Anthropic would send, in fewer pieces."""
    started = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    yield _event("message_start", message=started)
    for index, block in enumerate(message["content"]):
        yield from _block_events(index, block)
    stop = {name: message[name] for name in ("stop_reason", "stop_sequence")}
    yield _event("message_delta", delta=stop, usage=message["usage"])
    yield _event("message_stop")


def _block_events(index: int, block: Mapping[str, Any]) -> Iterator[bytes]:
    kind = block.get("type")
    deltas: list[dict[str, Any]] = []
    start = dict(block)
    if kind in DELTAS:
        name, delta = DELTAS[str(kind)]
        start[name] = ""
        deltas.append({"type": delta, name: block[name]})
        if "signature" in block:
            start["signature"] = ""
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif kind == "tool_use":
        start["input"] = {}
        deltas.append({"type": "input_json_delta", "partial_json": json.dumps(block["input"])})
    yield _event("content_block_start", index=index, content_block=start)
    for each in deltas:
        yield _event("content_block_delta", index=index, delta=each)
    yield _event("content_block_stop", index=index)


def _event(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + pydantic_core.to_json({"type": kind, **data}) + b"\n\n"


def messages(call: ApiCall, body: MessagesRequest) -> HttpResponse | StreamingHttpResponse:
    """Answer a call on the same connection."""
    with contract_errors():
        status = run(submission_from(call, body), call.http)
    message, headers = message_from(status), headers_of(status)
    if not body.stream:
        return json_of(message, headers=headers)
    return StreamingHttpResponse(events_of(message), content_type="text/event-stream", headers=headers)


def count_tokens(_call: ApiCall, body: CountTokensRequest) -> CountedTokens:
    """How long a prompt is, without calling a provider."""
    _, model = resolve(body.model, provider="anthropic")
    turns, parameters = [message.model_dump(exclude_unset=True) for message in body.messages], body.model_extra or {}
    try:
        check_shape(Dialect.ANTHROPIC, turns, parameters)
    except CallRejectedError as error:
        raise ApiError(400, "invalid_request", error.message, param=error.param) from None
    return CountedTokens(input_tokens=cost.estimated_tokens(turns, parameters, model))


messages_endpoint = AnthropicDoor(
    {
        ("POST", None): Operation(
            messages, "chat:write", MessagesRequest, AnthropicMessage, "Create a message (Anthropic)", once="own"
        )
    }
)
count_tokens_endpoint = AnthropicDoor(
    {
        ("POST", None): Operation(
            count_tokens, "chat:write", CountTokensRequest, CountedTokens, "Count the tokens of a prompt (Anthropic)"
        )
    }
)

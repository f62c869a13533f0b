"""`POST /v1/responses`: OpenAI's Responses API, translated to chat completions and back. Codex uses nothing else."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Literal

import pydantic_core
from django.http import HttpResponse, StreamingHttpResponse
from pydantic import BaseModel, ConfigDict

from aiinfra.api import ApiCall, Operation
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.call_headers import headers_of, options_from
from aiinfra.gateway.v1.door import OpenAIDoor, json_of
from aiinfra.gateway.v1.model_names import resolve
from aiinfra.gateway.v1.openai_completion import answering_model, message_of
from aiinfra.gateway.v1.responses_body import ResponsesRequest
from aiinfra.gateway.v1.responses_input import messages_of, name_as_sent, parameters_of
from aiinfra.gateway.v1.running import run
from aiinfra.providers.base import TokenUsage
from aiinfra.providers.dialects.rejections import CallRejectedError
from aiinfra.python_api import InvalidValueError
from queue_app.api import contract_errors, submission_of
from queue_app.facade import RequestStatus, Submission

CUT_OFF = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reasons of an incomplete answer, in the words of the Responses API."""
ECHOED = ("instructions", "metadata", "parallel_tool_calls", "tool_choice", "tools", "top_p", "temperature")
"""Parameters that a response repeats, with their defaults."""
DEFAULTS: Mapping[str, Any] = {"metadata": {}, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}


class Response(BaseModel):
    """The answer, as OpenAI sends it."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["response"]
    status: Literal["completed", "incomplete"]
    model: str
    output: list[dict[str, Any]]
    usage: dict[str, Any]


def submission_from(call: ApiCall, body: ResponsesRequest) -> Submission:
    """The call as the queue knows it. Raises ApiError and InvalidValueError for what cannot be sent."""
    provider, model = resolve(body.model)
    try:
        messages, origins = messages_of(body.instructions, body.items)
        parameters = parameters_of(body.parameters)
    except CallRejectedError as error:
        raise ApiError(400, "invalid_request", error.message, param=error.param) from None
    fields = {
        "messages": messages,
        "maxTokens": body.max_output_tokens,
        "temperature": body.temperature,
        "serviceTier": "standard" if body.service_tier == "default" else body.service_tier,
        "parameters": parameters,
    }
    try:
        return submission_of(call, options_from(call.http, fields), provider, model)
    except ApiError as error:
        error.param = name_as_sent(error.param or "", origins) or None
        raise
    except InvalidValueError as error:
        raise InvalidValueError(name_as_sent(error.field, origins), error.message) from None


def response_of(status: RequestStatus, body: ResponsesRequest) -> dict[str, Any]:
    """A completed request as a response."""
    answer = status.response or {}
    cut_off = CUT_OFF.get(str(answer.get("finishReason")))
    asked = {**DEFAULTS, **body.sent}
    return {
        "id": f"resp_{status.request.id.hex}",
        "object": "response",
        "created_at": int(status.request.created_at.timestamp()),
        "status": "incomplete" if cut_off else "completed",
        "model": answering_model(status),
        "output": _output(message_of(answer), status.request.id.hex),
        "usage": usage_of(status.usage or TokenUsage()),
        "error": None,
        "incomplete_details": {"reason": cut_off} if cut_off else None,
        **{name: asked.get(name) for name in ECHOED},
    }


def _output(message: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The items of an answer: reasoning, the message, function calls."""
    items: list[dict[str, Any]] = []
    if reasoning := message.get("reasoning_content"):
        summary = [{"type": "summary_text", "text": reasoning}]
        items.append({"id": f"rs_{name}", "type": "reasoning", "summary": summary})
    text, refusal = message.get("content"), message.get("refusal")
    if text or refusal or not message.get("tool_calls"):
        said: dict[str, Any] = {"type": "output_text", "text": text or "", "annotations": []}
        part = {"type": "refusal", "refusal": refusal} if refusal else said
        status = {"id": f"msg_{name}", "type": "message", "status": "completed", "role": "assistant"}
        items.append({**status, "content": [part]})
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        called = {"call_id": call["id"], "name": function["name"], "arguments": function["arguments"]}
        items.append({"id": f"fc_{name}_{index}", "type": "function_call", "status": "completed", **called})
    return items


def usage_of(usage: TokenUsage) -> dict[str, Any]:
    """Tokens as the Responses API counts them. All zero for an answer of the cache."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def events_of(response: Mapping[str, Any]) -> Iterator[bytes]:
    """A whole response as a stream: the same events that OpenAI would send, in fewer pieces."""
    numbers = count()
    started = {**response, "status": "in_progress", "output": [], "usage": None}
    for kind, data in [
        ("response.created", {"response": started}),
        ("response.in_progress", {"response": started}),
        *(event for index, item in enumerate(response["output"]) for event in _item_events(index, item)),
        (f"response.{response['status']}", {"response": response}),
    ]:
        event = {"type": kind, "sequence_number": next(numbers), **data}
        yield f"event: {kind}\ndata: ".encode() + pydantic_core.to_json(event) + b"\n\n"


def _item_events(index: int, item: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    place = {"item_id": item["id"], "output_index": index}
    empty: dict[str, Any] = {
        "message": {"content": []},
        "function_call": {"arguments": ""},
        "reasoning": {"summary": []},
    }
    begun = {**item, "status": "in_progress", **empty[str(item["type"])]}
    yield "response.output_item.added", {"output_index": index, "item": begun}
    if item["type"] == "function_call":
        arguments = item["arguments"]
        yield "response.function_call_arguments.delta", {**place, "delta": arguments}
        yield "response.function_call_arguments.done", {**place, "arguments": arguments, "name": item["name"]}
    for part in item.get("content", ()):
        yield from _part_events(place, part)
    yield "response.output_item.done", {"output_index": index, "item": item}


def _part_events(place: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    within = {**place, "content_index": 0}
    name = "text" if part["type"] == "output_text" else "refusal"
    more: dict[str, Any] = {"logprobs": []} if name == "text" else {}
    yield "response.content_part.added", {**within, "part": {**part, name: ""}}
    yield f"response.{part['type']}.delta", {**within, "delta": part[name], **more}
    yield f"response.{part['type']}.done", {**within, name: part[name], **more}
    yield "response.content_part.done", {**within, "part": part}


def responses(call: ApiCall, body: ResponsesRequest) -> HttpResponse | StreamingHttpResponse:
    """Answer a call on the same connection."""
    with contract_errors():
        status = run(submission_from(call, body), call.http)
    response, headers = response_of(status, body), headers_of(status)
    if not body.stream:
        return json_of(response, headers=headers)
    return StreamingHttpResponse(events_of(response), content_type="text/event-stream", headers=headers)


responses_endpoint = OpenAIDoor(
    {
        ("POST", None): Operation(
            responses, "chat:write", ResponsesRequest, Response, "Create a response (OpenAI)", once="own"
        )
    }
)

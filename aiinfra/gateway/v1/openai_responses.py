"""`POST /v1/responses`: OpenAI's Responses API, translated to chat completions and back. Codex uses nothing else."""

from dataclasses import replace
from typing import Any, Literal

from django.http import HttpResponse, StreamingHttpResponse
from pydantic import BaseModel, ConfigDict

from aiinfra.api import ApiCall, Operation
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.call_headers import client_errors, headers_of, options_from
from aiinfra.gateway.v1.dry_run import quoted
from aiinfra.gateway.v1.earlier_responses import messages_before, with_references
from aiinfra.gateway.v1.model_names import resolve
from aiinfra.gateway.v1.openai_response import response_of
from aiinfra.gateway.v1.responses_body import ResponsesRequest
from aiinfra.gateway.v1.responses_input import (
    Message,
    Origins,
    messages_of,
    name_as_sent,
    parameters_of,
)
from aiinfra.gateway.v1.responses_stream import ResponseStream
from aiinfra.gateway.v1.responses_tools import Tools
from aiinfra.gateway.v1.running import run
from aiinfra.gateway.v1.streaming import stream
from aiinfra.gateway.v1.vendor_endpoint import OpenAIEndpoint, json_of
from aiinfra.providers.dialects.rejections import CallRejectedError
from aiinfra.python_api import InvalidValueError
from queue_app.api import DRY_RUN_HEADER, is_dry_run, submission_of
from queue_app.facade import Submission


class Response(BaseModel):
    """The answer, as OpenAI sends it."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["response"]
    status: Literal["completed", "incomplete"]
    model: str
    output: list[dict[str, Any]]
    usage: dict[str, Any]


def submission_from(call: ApiCall, body: ResponsesRequest) -> tuple[Submission, Tools]:
    """The call as the queue knows it, and its tools. Raises ApiError and InvalidValueError for what cannot be sent."""
    try:
        messages, origins = _conversation(body, call.principal.api_key_id)
        tools = Tools(body.offered)
        parameters = parameters_of(body.parameters, tools.functions)
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
        submission = submission_of(call, options_from(call.http, fields), *resolve(call, body.model, messages))
    except ApiError as error:
        error.param = name_as_sent(error.param or "", origins) or None
        raise
    except InvalidValueError as error:
        raise InvalidValueError(name_as_sent(error.field, origins), error.message) from None
    has_instructions, can_be_continued = bool(body.instructions), body.store is not False
    return replace(submission, has_instructions=has_instructions, can_be_continued=can_be_continued), tools


def _conversation(body: ResponsesRequest, api_key_id: int | None) -> tuple[list[Message], Origins]:
    """The messages, after those of the response that the call continues, and where they come from."""
    items = body.items if isinstance(body.items, str) else with_references(body.items, api_key_id)
    messages, origins = messages_of(body.instructions, items)
    if body.previous_response_id is None:
        return messages, origins
    before = messages_before(body.previous_response_id, api_key_id)
    at = int(bool(body.instructions))
    messages[at:at] = before
    origins[at:at] = [("previous_response_id",)] * len(before)
    return messages, origins


def responses(call: ApiCall, body: ResponsesRequest) -> HttpResponse | StreamingHttpResponse:
    """Answer a call on the same connection."""
    asked = body.sent
    with client_errors():
        submission, tools = submission_from(call, body)
        if is_dry_run(call.http):
            return quoted(submission)
        if body.stream:
            return stream(submission, call.http, ResponseStream(asked, tools))
        status = run(submission, call.http)
    return json_of(response_of(status, asked, tools), headers=headers_of(status))


responses_endpoint = OpenAIEndpoint(
    {
        ("POST", None): Operation(
            responses,
            "chat:write",
            ResponsesRequest,
            Response,
            "Create a response (OpenAI)",
            once="own",
            door="responses",
            headers=(DRY_RUN_HEADER,),
        )
    }
)

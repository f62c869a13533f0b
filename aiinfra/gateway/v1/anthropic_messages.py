"""`POST /v1/messages` and `/v1/messages/count_tokens`: Anthropic's messages.

For Anthropic's own models the call is passed on as it came, and the answer's blocks come back as they were sent, with
the signatures of thinking. For other models both are translated.
"""

from typing import Annotated, Any, Literal, get_args

from django.http import HttpResponse, StreamingHttpResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from aiinfra.api import WHOLE_FLOATS, ApiCall, Operation
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.anthropic_endpoint import AnthropicEndpoint
from aiinfra.gateway.v1.anthropic_message import message_from
from aiinfra.gateway.v1.anthropic_stream import MessageStream
from aiinfra.gateway.v1.call_headers import client_errors, headers_of, options_from
from aiinfra.gateway.v1.dry_run import quoted
from aiinfra.gateway.v1.model_names import resolve
from aiinfra.gateway.v1.running import run
from aiinfra.gateway.v1.streaming import stream
from aiinfra.gateway.v1.vendor_endpoint import OpenBody, json_of
from aiinfra.providers.base import Dialect
from aiinfra.providers.dialects.part_schema import CONTENT_NOT_EMPTY
from aiinfra.providers.dialects.rejections import CallRejectedError
from aiinfra.providers.dialects.shapes import check_shape
from cost_app import create_cost_optimizer
from queue_app.api import DRY_RUN_HEADER, MessageWithText, check_model, is_dry_run, submission_of, turn_schema
from queue_app.facade import Submission

PASSED_ON = ("anthropic-beta", "anthropic-version")
TIERS = {"auto": "auto", "standard_only": "standard"}

Role = Literal["user", "assistant", "system"]

cost = create_cost_optimizer()


class AnthropicTurn(MessageWithText):
    """One turn of the conversation. Claude Code sends system messages between the others."""

    model_config = ConfigDict(json_schema_extra=turn_schema(CONTENT_NOT_EMPTY, get_args(Role)))

    role: Role


class CountTokensRequest(OpenBody):
    """A call whose prompt is counted."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=161)]
    messages: Annotated[list[AnthropicTurn], Field(min_length=1)]


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
    turns = [message.model_dump(exclude_unset=True) for message in body.messages]
    choice = resolve(call, body.model, turns, provider="anthropic")
    fields = {
        "messages": turns,
        "maxTokens": body.max_tokens,
        "temperature": body.temperature,
        "serviceTier": TIERS.get(body.service_tier or ""),
        "parameters": body.model_extra or {},
    }
    headers = {name: value for name in PASSED_ON if (value := call.http.headers.get(name))}
    options = options_from(call.http, fields)
    return submission_of(call, options, *choice, dialect=Dialect.ANTHROPIC, headers=headers)


def messages(call: ApiCall, body: MessagesRequest) -> HttpResponse | StreamingHttpResponse:
    """Answer a call on the same connection."""
    with client_errors():
        submission = submission_from(call, body)
        if is_dry_run(call.http):
            return quoted(submission)
        if body.stream:
            return stream(submission, call.http, MessageStream(getattr(call.http, "request_id", None)))
        status = run(submission, call.http)
    return json_of(message_from(status), headers=headers_of(status))


def count_tokens(call: ApiCall, body: CountTokensRequest) -> CountedTokens:
    """How long a prompt is, without calling a provider."""
    choice = resolve(call, body.model, provider="anthropic")
    check_model(call.principal.limits.access, *choice)
    turns, parameters = [message.model_dump(exclude_unset=True) for message in body.messages], body.model_extra or {}
    try:
        check_shape(Dialect.ANTHROPIC, turns, parameters)
    except CallRejectedError as error:
        raise ApiError(400, "invalid_request", error.message, param=error.param) from None
    return CountedTokens(input_tokens=cost.estimated_tokens(turns, parameters, choice.model))


messages_endpoint = AnthropicEndpoint(
    {
        ("POST", None): Operation(
            messages,
            "chat:write",
            MessagesRequest,
            AnthropicMessage,
            "Create a message (Anthropic)",
            once="own",
            door="messages",
            headers=(DRY_RUN_HEADER,),
        )
    }
)
count_tokens_endpoint = AnthropicEndpoint(
    {
        ("POST", None): Operation(
            count_tokens,
            "chat:write",
            CountTokensRequest,
            CountedTokens,
            "Count the tokens of a prompt (Anthropic)",
            door="messages",
        )
    }
)

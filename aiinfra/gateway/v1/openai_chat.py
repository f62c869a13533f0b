"""`POST /v1/chat/completions`: OpenAI's chat completions."""

from typing import Annotated, Any, Literal

from django.http import HttpResponse, StreamingHttpResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from aiinfra.api import WHOLE_FLOATS, ApiCall, Operation
from aiinfra.gateway.v1.call_headers import client_errors, headers_of, options_from
from aiinfra.gateway.v1.dry_run import quoted
from aiinfra.gateway.v1.model_names import resolve
from aiinfra.gateway.v1.openai_chat_stream import ChatStream
from aiinfra.gateway.v1.openai_completion import completion_of
from aiinfra.gateway.v1.running import run
from aiinfra.gateway.v1.streaming import stream
from aiinfra.gateway.v1.vendor_endpoint import OpenAIEndpoint, OpenBody, StreamOptions, json_of
from queue_app.api import DRY_RUN_HEADER, Message, is_dry_run, submission_of
from queue_app.facade import Submission

Limit = Annotated[int, Field(ge=1, le=131_072), WHOLE_FLOATS]
STANDARD = {"default": "standard"}
"""OpenAI's name of a service tier, and ours."""


class ChatCompletionRequest(OpenBody):
    """A chat call. All parameters are passed on; those below are read here."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=161)]
    messages: Annotated[list[Message], Field(min_length=1)]
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None


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
    turns = [message.model_dump(exclude_unset=True) for message in body.messages]
    fields = {
        "messages": turns,
        "maxTokens": body.max_completion_tokens or body.max_tokens,
        "temperature": body.temperature,
        "serviceTier": STANDARD.get(body.service_tier or "", body.service_tier),
        "parameters": body.model_extra or {},
    }
    return submission_of(call, options_from(call.http, fields), *resolve(call, body.model, turns))


def chat_completions(call: ApiCall, body: ChatCompletionRequest) -> HttpResponse | StreamingHttpResponse:
    """Answer a chat call on the same connection."""
    with client_errors():
        submission = submission_from(call, body)
        if is_dry_run(call.http):
            return quoted(submission)
        if body.stream:
            with_usage = bool(body.stream_options and body.stream_options.include_usage)
            return stream(submission, call.http, ChatStream(with_usage=with_usage))
        status = run(submission, call.http)
    return json_of(completion_of(status), headers=headers_of(status))


chat_completions_endpoint = OpenAIEndpoint(
    {
        ("POST", None): Operation(
            chat_completions,
            "chat:write",
            ChatCompletionRequest,
            ChatCompletion,
            "Create a chat completion (OpenAI)",
            once="own",
            door="chat_completions",
            headers=(DRY_RUN_HEADER,),
        )
    }
)

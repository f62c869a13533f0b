"""Request and response bodies of the queue's JSON operations."""

import operator
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import ConfigDict, Field, StringConstraints, ValidationInfo, WithJsonSchema, field_validator

from aiinfra.api import IDEMPOTENCY_KEY, WHOLE_FLOATS, ApiModel
from aiinfra.money import Dollars
from aiinfra.names import Tags, UserName
from aiinfra.providers.dialects.part_schema import CONTENT, CONTENT_NOT_EMPTY, CONTENT_OR_NOTHING, OTHER_MEMBERS
from aiinfra.webhook_urls import SCHEMA
from queue_app.models import Priority

ShortText = Annotated[str, StringConstraints(max_length=128)]
PriorityName = Literal["low", "normal", "high", "critical"]
CacheMode = Literal["use", "bypass", "refresh", "only"]
ServiceTier = Literal["auto", "standard", "flex", "priority"]
StatusName = Literal["pending", "processing", "completed", "failed", "cancelled"]


def priority_name(weight: int) -> PriorityName:
    """The name of a priority's weight. Raises ValueError where no priority has it."""
    return cast(PriorityName, Priority(weight).name.lower())


Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
MAY_BE_EMPTY = frozenset({"assistant", "tool", "function"})
"""Roles whose content may be empty or missing: an assistant's turn may be tool calls alone."""
SPEAKERS = frozenset(get_args(Role)) - MAY_BE_EMPTY


def _turn(roles: frozenset[str], required: list[str], content: dict[str, Any]) -> dict[str, Any]:
    return {"required": required, "properties": {**OTHER_MEMBERS, "role": {"enum": sorted(roles)}, "content": content}}


def turn_schema(prompt: dict[str, Any], roles: Iterable[str] = get_args(Role)) -> dict[str, Any]:
    """JSON Schema of a turn with one of these roles. `prompt` is the schema of the content that must not be empty."""
    speakers, others = SPEAKERS.intersection(roles), MAY_BE_EMPTY.intersection(roles)
    return {"anyOf": [_turn(speakers, ["role", "content"], prompt), _turn(others, ["role"], CONTENT_OR_NOTHING)]}


class Message(ApiModel):
    """One turn of the conversation as OpenAI's chat completions have it; further fields are passed on."""

    model_config = ConfigDict(extra="allow", json_schema_extra=turn_schema(CONTENT))

    role: Role
    content: Annotated[Any, Field(description="text or an array of content parts", validate_default=True)] = None

    @field_validator("content")
    @classmethod
    def _is_not_empty(cls, content: Any, info: ValidationInfo) -> Any:
        if info.data.get("role") in MAY_BE_EMPTY and content in (None, "", []):
            return content
        is_valid = isinstance(content, str) or (
            isinstance(content, list) and all(isinstance(part, str | dict) for part in content)
        )
        if not is_valid:
            raise ValueError("This must be a string or an array of content parts.")
        if content == []:
            raise ValueError("This must have at least 1 content part.")
        return content


class MessageWithText(Message):
    """One turn of the conversation. The text of a user or a system prompt is not empty."""

    model_config = ConfigDict(json_schema_extra=turn_schema(CONTENT_NOT_EMPTY))

    @field_validator("content")
    @classmethod
    def _has_text(cls, content: Any, info: ValidationInfo) -> Any:
        if content == "" and info.data.get("role") not in MAY_BE_EMPTY:
            raise ValueError("This must have at least 1 character.")
        return content


class CallOptions(ApiModel):
    """Options that all calls share."""

    messages: Annotated[Sequence[Message], Field(min_length=1, max_length=10_000)]
    priority: PriorityName = "normal"
    user_id: UserName = ""
    conversation_id: ShortText = ""
    max_retries: Annotated[int, Field(ge=0, le=10), WHOLE_FLOATS] = 3
    timeout: Annotated[
        int, Field(ge=1_000, le=120_000, description="timeout of each provider call, in ms"), WHOLE_FLOATS
    ] = 30_000
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=131_072), WHOLE_FLOATS] | None = None
    service_tier: Annotated[
        ServiceTier | None, Field(description="the provider's service tier; the one that answers is billed")
    ] = None
    parameters: Annotated[
        dict[str, Any],
        Field(
            description="all other parameters by their names at the provider: tools, response_format, top_p, stop, …"
        ),
    ] = {}
    tags: Tags = []
    metadata: dict[str, Any] = {}
    cache: CacheMode = "use"
    context_key: Annotated[
        ShortText, Field(description="requests share cached answers only if this matches: for documents or permissions")
    ] = ""
    webhook: Annotated[
        Annotated[str, WithJsonSchema(SCHEMA)] | None,
        Field(description="https URL that gets a signed POST when the request has ended"),
    ] = None


class OwnCallOptions(CallOptions):
    """Options of calls through our own API."""

    messages: Annotated[list[MessageWithText], Field(min_length=1, max_length=2_048)]


class EnqueueRequest(OwnCallOptions):
    """Add a request to the queue."""

    provider: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    model: Annotated[str, StringConstraints(min_length=1, max_length=128)]


class EnqueueArguments(EnqueueRequest):
    """What a Python caller passes. The idempotency key, a header over HTTP, is an argument here."""

    idempotency_key: Annotated[str, StringConstraints(pattern=f"^{IDEMPOTENCY_KEY}$")] | None = None


class RequestReference(ApiModel):
    """One request."""

    request_id: str


class LaneReference(ApiModel):
    """One priority, or all if omitted."""

    priority: PriorityName | None = None


class ListQuery(ApiModel):
    """Filters and paging for a list of requests."""

    status: StatusName | None = None
    priority: PriorityName | None = None
    cursor: str | None = None


class Accepted(ApiModel):
    """The request is stored and will be processed."""

    request_id: str
    status: StatusName
    cached: bool
    position: int | None
    message: str


class ByPriority(ApiModel):
    """Waiting requests by priority."""

    critical: int
    high: int
    normal: int
    low: int


class WorkerOut(ApiModel):
    """One worker process; memory in bytes."""

    name: str
    host: str
    pid: int
    slots: int
    busy: int
    stopping: bool
    memory_bytes: int
    last_seen: datetime


class QueueStatsOut(ApiModel):
    """Averages, throughput and error rate (percent) cover the last 15 minutes."""

    queue_size: int
    processing: int
    total_processed: int
    total_failed: int
    total_cancelled: int
    by_priority: ByPriority
    held_for_retry: Annotated[int, Field(description="waiting requests whose next attempt is not due yet")]
    waiting_for_provider_limit: Annotated[int, Field(description="waiting requests whose model is at its limit")]
    oldest_pending_seconds: float | None
    average_wait_ms: float | None
    average_processing_ms: float | None
    throughput_per_minute: float
    error_rate: float | None
    workers: list[WorkerOut]


class AttemptOut(ApiModel):
    """One provider call."""

    provider: str
    model: str
    status: Literal["reserved", "dispatched", "settled", "estimated", "released"]
    latency_ms: int | None
    cost: Dollars
    error: str | None


class ResponseOut(ApiModel):
    """The model's answer. `parts` and `refused` appear only when they carry information."""

    role: str
    content: str
    finish_reason: str
    tool_calls: list[dict[str, Any]] | None = None
    parts: Annotated[
        list[dict[str, Any]] | None,
        Field(description="content other than text, such as thinking blocks", exclude_if=operator.not_),
    ] = None
    refused: Annotated[
        bool, Field(description="the model declined; `content` is its explanation", exclude_if=operator.not_)
    ] = False
    native: Annotated[
        dict[str, Any] | None,
        Field(description="in the provider's own dialect, such as log probabilities", exclude_if=operator.not_),
    ] = None


class UsageOut(ApiModel):
    """Tokens. `promptTokens` is the whole prompt, including its cached part."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int


class RequestSummary(ApiModel):
    """A request in a list."""

    request_id: str
    status: StatusName
    priority: PriorityName
    provider: str
    model: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    cost: Dollars
    cached: bool
    error: str | None


class RequestOut(RequestSummary):
    """A request with its attempts. `response` is null until there is one, and for callers who cannot read content."""

    position: int | None
    attempts: list[AttemptOut]
    response: ResponseOut | None
    usage: UsageOut | None


class RequestPage(ApiModel):
    """Newest first; `nextCursor` is null on the last page."""

    requests: list[RequestSummary]
    next_cursor: str | None


class Paused(ApiModel):
    """The priorities that are now paused."""

    paused: list[PriorityName]

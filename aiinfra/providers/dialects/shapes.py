"""The types of what a chat call may contain, in both dialects. Members that are not listed have any type.

Wrong types are rejected before the call is accepted: a provider would reject them after the call was counted, and a
translation would fail midway. Only types are checked here; `rejections` has the rules for parameters and content.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from aiinfra.providers.base import Dialect
from aiinfra.providers.dialects.rejections import CallRejectedError
from aiinfra.validation import first_problem

Object = dict[str, Any]


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""JSON has one type of numbers: 5.0 is 5."""


class Shape(BaseModel):
    """An object whose known members have these types or are null."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Url(Shape):
    url: str | None = None
    detail: str | None = None


class _Source(Shape):
    type: str | None = None
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    content: str | list[Object] | None = None


class _Function(Shape):
    name: str | None = None
    description: str | None = None
    parameters: Object | None = None
    strict: bool | None = None


class _Tool(_Function):
    """OpenAI's tools have a function or a custom tool, Anthropic's are one."""

    type: str | None = None
    function: _Function | None = None
    custom: Object | None = None
    input_schema: Object | None = None
    cache_control: Object | None = None


class _ToolChange(Shape):
    """The tool that a block refers to, or defines."""

    type: str | None = None
    name: str | None = None
    definition: _Tool | None = None


class InnerPart(Shape):
    """A part without parts of its own."""

    text: str | None = None
    refusal: str | None = None
    image_url: _Url | None = None
    source: str | _Source | None = None
    """Only of a search result, it is a text."""
    cache_control: Object | None = None
    id: str | None = None
    name: str | None = None
    input: Object | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    title: str | None = None
    tool_use_id: str | None = None
    tool_name: str | None = None
    tool: _ToolChange | None = None
    is_error: bool | None = None


class Part(InnerPart):
    """A content part of OpenAI's dialect, or a content block of Anthropic's."""

    content: str | list[InnerPart] | None = None


class _CalledFunction(Shape):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(Shape):
    id: str | None = None
    type: str | None = None
    function: _CalledFunction | None = None
    custom: Object | None = None


class Turn(Shape):
    """A message of either dialect."""

    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: _CalledFunction | None = None
    reasoning_content: str | None = None
    thinking_blocks: list[InnerPart] | None = None


class _ToolChoice(Shape):
    type: str | None = None
    name: str | None = None
    function: _CalledFunction | None = None
    disable_parallel_tool_use: bool | None = None


class _JsonSchema(Shape):
    name: str | None = None
    schema_: Annotated[Object | None, Field(alias="schema")] = None


class _ResponseFormat(Shape):
    type: str | None = None
    json_schema: _JsonSchema | None = None


class _Thinking(Shape):
    type: str | None = None
    budget_tokens: Whole | None = None


class _OutputFormat(Shape):
    type: str | None = None
    schema_: Annotated[Object | None, Field(alias="schema")] = None


class _OutputConfig(Shape):
    effort: str | None = None
    format: _OutputFormat | None = None


class _CommonParameters(Shape):
    tools: list[_Tool] | None = None
    top_p: float | None = None
    top_k: Whole | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    cache_control: Object | None = None
    context_management: Object | None = None


class OpenAIParameters(_CommonParameters):
    """Parameters of chat completions, and those of Anthropic's that its clients can send to Claude models."""

    tool_choice: str | _ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: _ResponseFormat | None = None
    reasoning_effort: str | None = None
    stop: str | list[str] | None = None
    seed: Whole | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: Whole | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    prediction: Object | None = None
    functions: list[_Function] | None = None
    function_call: str | _CalledFunction | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    metadata: Object | None = None
    store: bool | None = None


class _Metadata(Shape):
    user_id: str | None = None


class AnthropicParameters(_CommonParameters):
    """Parameters of Anthropic's messages."""

    system: str | list[Part] | None = None
    tool_choice: _ToolChoice | None = None
    stop_sequences: list[str] | None = None
    metadata: _Metadata | None = None


PARAMETERS: Mapping[Dialect, type[Shape]] = {
    Dialect.OPENAI: OpenAIParameters,
    Dialect.ANTHROPIC: AnthropicParameters,
}


@cache
def _turns() -> TypeAdapter[list[Turn]]:
    return TypeAdapter(list[Turn])


def check_shape(dialect: Dialect, messages: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> None:
    """Raise CallRejectedError for the first member of a wrong type, with its path."""
    turns = list(messages)
    try:
        _turns().validate_python(turns)
    except ValidationError as error:
        path, message = first_problem(error, turns)
        raise CallRejectedError(("messages", *path), message) from None
    try:
        PARAMETERS[dialect].model_validate(dict(parameters))
    except ValidationError as error:
        path, message = first_problem(error, dict(parameters))
        raise CallRejectedError(("parameters", *path), message) from None

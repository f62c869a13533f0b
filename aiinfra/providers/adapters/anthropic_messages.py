"""Anthropic's Messages API, through the `anthropic` client."""

import json
from typing import Any
from uuid import UUID

import anthropic
import httpx2
from pydantic import BaseModel, ValidationError

from aiinfra import egress
from aiinfra.providers.adapters import errors
from aiinfra.providers.adapters.anthropic_dialect import split_messages
from aiinfra.providers.adapters.sandbox_bill import sandbox_bill
from aiinfra.providers.base import (
    BillState,
    ChatAnswer,
    ChatCall,
    EmbeddingAnswer,
    EmbeddingCall,
    ErrorCode,
    ProviderAttempt,
    ProviderError,
    TokenUsage,
)
from aiinfra.providers.registry import Provider
from aiinfra.providers.usage import anthropic_usage, storable

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class AnthropicAdapter:
    """The `ProviderAdapter` of Anthropic; holds its client and connections, safe between threads."""

    def __init__(self, provider: Provider, http_client: httpx2.Client) -> None:
        self._provider = provider
        self._http_client = http_client
        self._client = anthropic.Anthropic(
            api_key=provider.api_key,
            base_url=provider.base_url,
            max_retries=0,
            open_telemetry=False,
            http_client=http_client,
        )

    def chat(self, attempt: ProviderAttempt, call: ChatCall) -> ChatAnswer:
        """Send the call once. Raises ProviderError for everything that is not a clean answer."""
        arguments = _arguments(attempt, call)
        try:
            with egress.deadline(call.timeout_s):
                raw = self._client.messages.with_raw_response.create(**arguments)
        except anthropic.APIStatusError as error:
            raise errors.status_error(error, call.messages, self._provider.api_key) from None
        except anthropic.APIConnectionError as error:
            raise errors.transport_error(error.__cause__) from None
        return _answer(raw.http_response)

    def embed(self, attempt: ProviderAttempt, call: EmbeddingCall) -> EmbeddingAnswer:  # noqa: ARG002 - never sent
        """Raises ProviderError: Anthropic has no embeddings."""
        raise ProviderError(ErrorCode.INVALID_REQUEST, "Anthropic has no embeddings", may_be_billed=False)

    def bill_of(self, attempt_id: UUID) -> tuple[BillState, TokenUsage | None]:
        """What the sandbox billed for an attempt; Anthropic itself offers no such look-up."""
        return sandbox_bill(self._provider, self._http_client, attempt_id)


def _arguments(attempt: ProviderAttempt, call: ChatCall) -> dict[str, Any]:
    """The temperature is left out: the API refuses it on every model since its version 2026-10-21."""
    system, messages = split_messages(call.messages)
    arguments = {
        "model": attempt.model,
        "messages": messages,
        "max_tokens": call.max_tokens,
        "timeout": egress.timeouts(call.timeout_s),
        "extra_headers": {"X-Attempt-Id": str(attempt.id), "Idempotency-Key": str(attempt.id)},
    }
    if system:
        arguments["system"] = system
    return arguments


class _Block(BaseModel):
    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: Any = None


class _Billed(BaseModel):
    usage: Any = None


class _MessageAnswer(_Billed):
    content: list[_Block]
    stop_reason: str | None = None


def _answer(response: httpx2.Response) -> ChatAnswer:
    try:
        message = _MessageAnswer.model_validate_json(response.content)
    except ValidationError:
        raw = _raw_usage(response)
        raise errors.malformed_answer(anthropic_usage(raw, answered=False), storable(raw)) from None
    content = "".join(block.text for block in message.content if block.type == "text")
    tool_calls = [_tool_call(block) for block in message.content if block.type == "tool_use"]
    usage, raw_usage = anthropic_usage(message.usage, answered=bool(content or tool_calls)), storable(message.usage)
    stop_reason = message.stop_reason or "end_turn"
    finish_reason = _FINISH_REASONS.get(stop_reason, stop_reason)
    if finish_reason == "content_filter" and not content:
        raise errors.content_filtered(usage, raw_usage)
    return ChatAnswer(
        content=content,
        finish_reason=finish_reason,
        usage=usage,
        raw_usage=raw_usage,
        tool_calls=tool_calls,
        provider_request_id=response.headers.get("request-id", "")[: errors.REQUEST_ID_LENGTH],
    )


def _raw_usage(response: httpx2.Response) -> Any:
    """The usage in a body that is no answer: it was billed all the same."""
    try:
        return _Billed.model_validate_json(response.content).usage
    except ValidationError:
        return None


def _tool_call(block: _Block) -> dict[str, Any]:
    function = {"name": block.name, "arguments": json.dumps(block.input)}
    return {"id": block.id, "type": "function", "function": function}

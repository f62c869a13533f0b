"""Anthropic's Messages API, through the `anthropic` client: its transport and errors, but not its models."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import anthropic
import httpx2
from anthropic import RequestOptions

from aiinfra import egress
from aiinfra.providers.adapters import errors, finish, streaming
from aiinfra.providers.adapters.cleaning import ID_LENGTH, NAME_LENGTH, clean_tree, one_line
from aiinfra.providers.adapters.library_headers import LIBRARY_HEADERS
from aiinfra.providers.adapters.merging import MergedMessage
from aiinfra.providers.adapters.openai_answer import model_in, raw_usage_of, read_object
from aiinfra.providers.adapters.sandbox_bill import sandbox_bill
from aiinfra.providers.base import (
    BillState,
    ChatAnswer,
    ChatCall,
    ChatStream,
    Dialect,
    EmbeddingAnswer,
    EmbeddingCall,
    ErrorCode,
    ProviderAttempt,
    ProviderError,
    TokenUsage,
)
from aiinfra.providers.call_spans import traced_headers
from aiinfra.providers.dialects.choosing import anthropic_body
from aiinfra.providers.dialects.rejections import CallRejectedError
from aiinfra.providers.registry import Provider
from aiinfra.providers.usage import anthropic_usage, of_answer, storable


class AnthropicAdapter:
    """The `ProviderAdapter` for Anthropic; owns its client and connections. Thread-safe."""

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
        response = self._sent(attempt, call)
        return _answer(read_object(response), response.headers, call.messages, self._provider.api_key)

    def stream(self, attempt: ProviderAttempt, call: ChatCall) -> ChatStream:
        """Send the call once, and pass the answer on as it arrives; see `ProviderAdapter`."""
        said = call.messages, self._provider.api_key
        dialect = streaming.Dialect(
            merged=MergedMessage(),
            read_body=lambda body, headers: _answer(body, headers, *said),
            read_usage=anthropic_usage,
            read_error=lambda error: errors.error_in_answer(error, *said),
        )
        ends_at = time.monotonic() + call.timeout_s
        response = self._sent(attempt, call, streams=True)
        return (yield from streaming.read_stream(response, dialect, ends_at))

    def _sent(self, attempt: ProviderAttempt, call: ChatCall, *, streams: bool = False) -> httpx2.Response:
        """The response to a call. That of a stream is still unread."""
        body = {**_body(attempt.model, call), **({"stream": True} if streams else {})}
        options: RequestOptions = {
            "headers": {
                **dict.fromkeys(LIBRARY_HEADERS, anthropic.omit),
                **call.headers,
                "X-Attempt-Id": str(attempt.id),
                "Idempotency-Key": str(attempt.id),
                **traced_headers(attempt.provider),
                **streaming.accept(streams=streams),
            },
            "timeout": streaming.timeouts(call.timeout_s, streams=streams),
        }
        try:
            with egress.deadline(call.timeout_s):
                return self._client.post(  # type: ignore[return-value]  # a Response comes back unchanged
                    "/v1/messages",
                    body=body,
                    cast_to=httpx2.Response,
                    options=options,
                    stream=streams,
                    stream_cls=anthropic.Stream[Any],
                )
        except anthropic.APIStatusError as error:
            raise errors.status_error(error, call.messages, self._provider.api_key) from None
        except anthropic.APIConnectionError as error:
            raise errors.transport_error(error.__cause__) from None

    def embed(self, attempt: ProviderAttempt, call: EmbeddingCall) -> EmbeddingAnswer:  # noqa: ARG002 - never sent
        """Raises ProviderError: Anthropic has no embeddings."""
        raise ProviderError(ErrorCode.INVALID_REQUEST, "Anthropic has no embeddings.", may_be_billed=False)

    def bill_of(self, attempt_id: UUID) -> tuple[BillState, TokenUsage | None]:
        """What the sandbox billed for an attempt; Anthropic itself has no such lookup."""
        return sandbox_bill(self._provider, self._http_client, attempt_id)


OF_MESSAGE = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"})
"""Members of a message that are read, or replaced by our own."""
TIERS = {"auto": "auto", "priority": "auto", "standard": "standard_only"}
"""Anthropic serves from bought capacity if there is any, or never; it has no flex tier."""


def _body(model: str, call: ChatCall) -> dict[str, Any]:
    """Everything that the client sent; only the model and the token limit are ours."""
    try:
        body = anthropic_body(call.dialect, call.messages, call.parameters)
    except CallRejectedError as error:
        raise ProviderError(ErrorCode.INVALID_REQUEST, str(error), may_be_billed=False) from None
    body |= {"model": model, "max_tokens": call.max_tokens}
    if call.temperature is not None and call.dialect == Dialect.ANTHROPIC:
        body["temperature"] = call.temperature  # a client that names it in this dialect knows which models take it
    if tier := TIERS.get(call.service_tier or ""):
        body["service_tier"] = tier
    return body


def _answer(
    body: Mapping[str, Any], headers: httpx2.Headers, messages: Sequence[Mapping[str, Any]], api_key: str
) -> ChatAnswer:
    raw_usage = raw_usage_of(body)
    usage, stored = anthropic_usage(raw_usage, answered=False), storable(raw_usage)
    if error := errors.error_in(body, has_answer="content" in body):
        raise errors.error_in_answer(error, messages, api_key, usage, stored)
    blocks = clean_tree(body.get("content"))
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise errors.unreadable_answer(usage, stored)
    content = "".join(text for block in blocks if (text := _text_of(block)) is not None)
    tool_calls = [_tool_call(block) for block in blocks if block.get("type") == "tool_use"]
    return finish.checked(
        ChatAnswer(
            content=content,
            finish_reason=finish.finish_reason_of(body.get("stop_reason")),
            usage=of_answer(usage) if content or tool_calls else usage,
            raw_usage=stored,
            tool_calls=tool_calls,
            parts=[block for block in blocks if _text_of(block) is None and block.get("type") != "tool_use"],
            refused=body.get("stop_reason") == "refusal",
            provider_request_id=one_line(headers.get("request-id", ""), ID_LENGTH),
            model=model_in(body),
            native=_native(body, blocks),
        )
    )


def _native(body: Mapping[str, Any], blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """The blocks in order with all their fields, and the stop reason, unless it is plain text that ended with end_turn;
    and further members of the message.
    """
    others = {name: clean_tree(value) for name, value in body.items() if name not in OF_MESSAGE and value}
    further = {"further": others} if others else {}
    is_plain = all(block.get("type") == "text" and not block.get("citations") for block in blocks)
    if is_plain and len(blocks) <= 1 and body.get("stop_reason") == "end_turn":
        return further
    stop = {name: clean_tree(body[name]) for name in ("stop_reason", "stop_sequence") if body.get(name) is not None}
    return {"content": blocks, **stop, **further}


def _text_of(block: Mapping[str, Any]) -> str | None:
    """The text of a text block; None for another block."""
    text = block.get("text")
    return text if block.get("type") == "text" and isinstance(text, str) else None


def _tool_call(block: Mapping[str, Any]) -> dict[str, Any]:
    name, call_id = (one_line(str(block.get(key) or ""), NAME_LENGTH) for key in ("name", "id"))
    arguments = block.get("input")
    # A stream that ends within the input leaves a text that is no JSON.
    function = {"name": name, "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments)}
    return {"id": call_id, "type": "function", "function": function}

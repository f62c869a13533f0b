"""OpenAI, DeepSeek and every server that speaks OpenAI's dialect, through the `openai` client."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import httpx2
import openai
from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from aiinfra import egress
from aiinfra.providers.adapters import errors
from aiinfra.providers.adapters.sandbox_bill import sandbox_bill
from aiinfra.providers.base import (
    BillState,
    ChatAnswer,
    ChatCall,
    EmbeddingAnswer,
    EmbeddingCall,
    ProviderAttempt,
    TokenUsage,
)
from aiinfra.providers.registry import Provider
from aiinfra.providers.usage import embedding_usage, openai_usage, storable, with_tier

# OpenAI's reasoning models refuse `max_tokens`; other servers may silently ignore `max_completion_tokens`, and the
# money that is held for a call rests on the limit.
HOST_OF_MAX_COMPLETION_TOKENS = "api.openai.com"


class OpenAICompatibleAdapter:
    """The `ProviderAdapter` of one provider; holds its client and connections, safe between threads."""

    def __init__(self, provider: Provider, http_client: httpx2.Client) -> None:
        self._provider = provider
        self._http_client = http_client
        self._client = openai.OpenAI(
            api_key=provider.api_key, base_url=provider.base_url, max_retries=0, http_client=http_client
        )
        if provider.name != "openai":
            # The client found these in the environment; they are nobody else's business.
            self._client.organization = self._client.project = None

    def chat(self, attempt: ProviderAttempt, call: ChatCall) -> ChatAnswer:
        """Send the call once. Raises ProviderError for everything that is not a clean answer."""
        create = self._client.chat.completions.with_raw_response.create
        return _answer(self._sent(create, self._arguments(attempt, call), call.timeout_s, call.messages))

    def embed(self, attempt: ProviderAttempt, call: EmbeddingCall) -> EmbeddingAnswer:
        """Send the call once. Raises ProviderError for everything that is not a vector for each text."""
        create = self._client.embeddings.with_raw_response.create
        # Some servers do not know base64, which the client would ask for.
        arguments = {**_common(attempt, call.timeout_s), "input": call.texts, "encoding_format": "float"}
        response = self._sent(create, arguments, call.timeout_s, [{"content": text} for text in call.texts])
        return _embeddings(response, len(call.texts))

    def _sent(
        self, create: Callable[..., Any], arguments: dict[str, Any], timeout_s: float, said: Sequence[dict[str, Any]]
    ) -> httpx2.Response:
        """The answer to one call; `said` is what no error may quote."""
        try:
            with egress.deadline(timeout_s):
                response: httpx2.Response = create(**arguments).http_response
        except openai.APIStatusError as error:
            raise errors.status_error(error, said, self._provider.api_key) from None
        except openai.APIConnectionError as error:
            raise errors.transport_error(error.__cause__) from None
        return response

    def bill_of(self, attempt_id: UUID) -> tuple[BillState, TokenUsage | None]:
        """What the sandbox billed for an attempt; real providers offer no such look-up."""
        return sandbox_bill(self._provider, self._http_client, attempt_id)

    def _arguments(self, attempt: ProviderAttempt, call: ChatCall) -> dict[str, Any]:
        arguments = {
            **_common(attempt, call.timeout_s),
            "messages": call.messages,
            self._limit_name(): call.max_tokens,
        }
        if call.temperature is not None:
            arguments["temperature"] = call.temperature
        return arguments

    def _limit_name(self) -> str:
        at_openai = httpx2.URL(self._provider.base_url).host == HOST_OF_MAX_COMPLETION_TOKENS
        plays_openai = self._provider.name == "openai" and self._provider.sandbox_url is not None
        return "max_completion_tokens" if at_openai or plays_openai else "max_tokens"


def _common(attempt: ProviderAttempt, timeout_s: float) -> dict[str, Any]:
    """What every call carries."""
    return {
        "model": attempt.model,
        "timeout": egress.timeouts(timeout_s),
        "extra_headers": {"X-Attempt-Id": str(attempt.id), "Idempotency-Key": str(attempt.id)},
    }


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Billed(BaseModel):
    usage: Any = None
    service_tier: Any = None

    @property
    def raw_usage(self) -> Any:
        return with_tier(self.usage, self.service_tier)


class _Completion(_Billed):
    choices: list[_Choice] = Field(min_length=1)


class _Embedding(BaseModel):
    index: int
    embedding: list[FiniteFloat] = Field(min_length=1)


class _Embeddings(_Billed):
    data: list[_Embedding]


def _embeddings(response: httpx2.Response, texts: int) -> EmbeddingAnswer:
    try:
        body = _Embeddings.model_validate_json(response.content)
    except ValidationError:
        raw = _raw_usage(response)
        raise errors.malformed_answer(embedding_usage(raw), storable(raw)) from None
    usage, raw_usage = embedding_usage(body.raw_usage), storable(body.raw_usage)
    rows = sorted(body.data, key=lambda row: row.index)
    if [row.index for row in rows] != list(range(texts)):
        raise errors.malformed_answer(usage, raw_usage)
    return EmbeddingAnswer([row.embedding for row in rows], usage, raw_usage)


def _answer(response: httpx2.Response) -> ChatAnswer:
    try:
        completion = _Completion.model_validate_json(response.content)
    except ValidationError:
        raw = _raw_usage(response)
        raise errors.malformed_answer(openai_usage(raw, answered=False), storable(raw)) from None
    choice = completion.choices[0]
    content, tool_calls = choice.message.content or choice.message.refusal or "", choice.message.tool_calls or []
    usage = openai_usage(completion.raw_usage, answered=bool(content or tool_calls))
    raw_usage = storable(completion.raw_usage)
    if choice.finish_reason == "content_filter" and not content:
        raise errors.content_filtered(usage, raw_usage)
    return ChatAnswer(
        content=content,
        finish_reason=choice.finish_reason or "stop",
        usage=usage,
        raw_usage=raw_usage,
        tool_calls=tool_calls,
        provider_request_id=response.headers.get("x-request-id", "")[: errors.REQUEST_ID_LENGTH],
    )


def _raw_usage(response: httpx2.Response) -> Any:
    """The usage in a body that is no answer: it was billed all the same."""
    try:
        return _Billed.model_validate_json(response.content).raw_usage
    except ValidationError:
        return None

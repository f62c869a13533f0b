"""OpenAI, DeepSeek and every OpenAI-compatible server, through the `openai` client.

Its transport, authentication and errors are used, but not its models: they cost 0.7 ms of CPU per call, and the answer
is checked here.
"""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx2
import openai
from openai import RequestOptions
from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from aiinfra import egress
from aiinfra.providers.adapters import errors, parameters, streaming
from aiinfra.providers.adapters.library_headers import LIBRARY_HEADERS
from aiinfra.providers.adapters.merging import MergedChunks
from aiinfra.providers.adapters.openai_answer import answer_in, chat_answer, raw_usage_of, read_object
from aiinfra.providers.adapters.sandbox_bill import sandbox_bill
from aiinfra.providers.base import (
    BillState,
    ChatAnswer,
    ChatCall,
    ChatStream,
    EmbeddingAnswer,
    EmbeddingCall,
    ErrorCode,
    ProviderAttempt,
    ProviderError,
    TokenUsage,
)
from aiinfra.providers.call_spans import traced_headers
from aiinfra.providers.dialects.choosing import openai_body
from aiinfra.providers.dialects.rejections import CallRejectedError
from aiinfra.providers.registry import Provider
from aiinfra.providers.usage import embedding_usage, openai_usage, storable


class OpenAICompatibleAdapter:
    """The `ProviderAdapter` of one provider; owns its client and connections. Thread-safe."""

    def __init__(self, provider: Provider, http_client: httpx2.Client) -> None:
        self._provider = provider
        self._http_client = http_client
        self._client = openai.OpenAI(
            api_key=provider.api_key, base_url=provider.base_url, max_retries=0, http_client=http_client
        )
        if provider.name != "openai":
            # The client reads these from the environment; other providers must not see them.
            self._client.organization = self._client.project = None
        # The client would resolve a relative URL again for each call.
        self._base_url = str(self._client.base_url)

    def chat(self, attempt: ProviderAttempt, call: ChatCall) -> ChatAnswer:
        """Send the call once. Raises ProviderError for everything that is not a clean answer."""
        with egress.deadline(call.timeout_s):
            response = self._adapted(attempt, call)
        return chat_answer(response, call.messages, self._provider.api_key)

    def stream(self, attempt: ProviderAttempt, call: ChatCall) -> ChatStream:
        """Send the call once, and pass the answer on as it arrives; see `ProviderAdapter`."""
        said = call.messages, self._provider.api_key
        dialect = streaming.Dialect(
            merged=MergedChunks(),
            read_body=lambda body, headers: answer_in(body, headers, *said),
            read_usage=openai_usage,
            read_error=lambda error: errors.error_in_answer(error, *said),
        )
        ends_at = time.monotonic() + call.timeout_s
        with egress.deadline(call.timeout_s):
            response = self._adapted(attempt, call, streams=True)
        return (yield from streaming.read_stream(response, dialect, ends_at))

    def embed(self, attempt: ProviderAttempt, call: EmbeddingCall) -> EmbeddingAnswer:
        """Send the call once. Raises ProviderError for everything that is not a vector for each text."""
        said = [{"content": text} for text in call.texts]
        with egress.deadline(call.timeout_s):
            response = self._embedded(attempt, call, said)
        return _embeddings(response, len(call.texts), said, self._provider.api_key)

    def _embedded(
        self, attempt: ProviderAttempt, call: EmbeddingCall, said: Sequence[dict[str, Any]]
    ) -> httpx2.Response:
        """The answer to one embeddings call; no error may quote `said`."""
        # Some servers do not support base64, which is the client's default.
        body = {**call.parameters, "model": attempt.model, "input": call.texts, "encoding_format": "float"}
        try:
            return self._post("embeddings", body, str(attempt.id), attempt, call.timeout_s)
        except openai.APIStatusError as error:
            raise errors.status_error(error, said, self._provider.api_key) from None
        except openai.APIConnectionError as error:
            raise errors.transport_error(error.__cause__) from None

    def _adapted(self, attempt: ProviderAttempt, call: ChatCall, *, streams: bool = False) -> httpx2.Response:
        """The answer to a chat call, repeated with other parameters if the server rejects some.

        Rejected calls cost nothing, so all of this is one attempt.
        """
        rules = parameters.rules_for(self._provider, attempt.model)
        for changes in range(parameters.CHANGES_MAX + 1):
            try:
                response = self._created(attempt, call, rules, changes, streams=streams)
            except openai.APIStatusError as error:
                changed = _rules_after(error, rules, call) if changes < parameters.CHANGES_MAX else None
                if changed is None:
                    raise errors.status_error(error, call.messages, self._provider.api_key) from None
                rules = changed
                continue
            except openai.APIConnectionError as error:
                raise errors.transport_error(error.__cause__) from None
            if changes:
                parameters.remember(self._provider, attempt.model, rules)
            return response
        raise AssertionError("the last round returns or raises")

    def _created(
        self, attempt: ProviderAttempt, call: ChatCall, rules: parameters.Rules, changes: int, *, streams: bool
    ) -> httpx2.Response:
        body = {
            "model": attempt.model,
            **_translated(attempt, call),
            **rules.arguments(call.max_tokens, call.temperature, call.service_tier),
        }
        if streams:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        # A changed body needs a fresh idempotency key.
        key = f"{attempt.id}-{changes}" if changes else str(attempt.id)
        return self._post("chat/completions", body, key, attempt, call.timeout_s, streams=streams)

    def _post(
        self,
        path: str,
        body: dict[str, Any],
        idempotency_key: str,
        attempt: ProviderAttempt,
        timeout_s: float,
        *,
        streams: bool = False,
    ) -> httpx2.Response:
        """The answer to one POST, unread if it is a stream. Raises openai's APIStatusError and APIConnectionError."""
        options: RequestOptions = {
            "headers": {
                **dict.fromkeys(LIBRARY_HEADERS, openai.omit),
                "X-Attempt-Id": str(attempt.id),
                "Idempotency-Key": idempotency_key,
                **traced_headers(attempt.provider),
                **streaming.accept(streams=streams),
            },
            "timeout": streaming.timeouts(timeout_s, streams=streams),
        }
        return self._client.post(  # type: ignore[return-value]  # a Response comes back unchanged
            self._base_url + path,
            body=body,
            cast_to=httpx2.Response,
            options=options,
            stream=streams,
            stream_cls=openai.Stream[Any],
        )

    def bill_of(self, attempt_id: UUID) -> tuple[BillState, TokenUsage | None]:
        """What the sandbox billed for an attempt; real providers have no such lookup."""
        return sandbox_bill(self._provider, self._http_client, attempt_id)


def _translated(attempt: ProviderAttempt, call: ChatCall) -> dict[str, Any]:
    """Messages and parameters as this server understands them."""
    try:
        return openai_body(attempt.provider, call.dialect, call.messages, call.parameters)
    except CallRejectedError as error:
        raise ProviderError(ErrorCode.INVALID_REQUEST, str(error), may_be_billed=False) from None


def _rules_after(error: openai.APIStatusError, rules: parameters.Rules, call: ChatCall) -> parameters.Rules | None:
    if error.status_code not in {400, 422}:
        return None
    refusal = errors.status_error(error, [], "")
    if refusal.code is not ErrorCode.INVALID_REQUEST:
        return None
    return rules.after_refusal(errors.words_of(error.body), call.temperature, call.service_tier)


class _Embedding(BaseModel):
    index: int
    embedding: list[FiniteFloat] = Field(min_length=1)


class _Embeddings(BaseModel):
    data: list[_Embedding]


def _embeddings(response: httpx2.Response, texts: int, said: Sequence[dict[str, Any]], api_key: str) -> EmbeddingAnswer:
    body = read_object(response)
    raw_usage = raw_usage_of(body)
    usage, kept = embedding_usage(raw_usage), storable(raw_usage)
    if error := errors.error_in(body, has_answer="data" in body):
        raise errors.error_in_answer(error, said, api_key, usage, kept)
    try:
        rows = sorted(_Embeddings.model_validate(body).data, key=lambda row: row.index)
    except ValidationError:
        raise errors.unreadable_answer(usage, kept) from None
    if [row.index for row in rows] != list(range(texts)):
        raise errors.unreadable_answer(usage, kept)
    return EmbeddingAnswer([row.embedding for row in rows], usage, kept)

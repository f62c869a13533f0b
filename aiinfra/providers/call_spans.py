"""Spans of provider calls, by OpenTelemetry's conventions for generative AI. They hold no text of prompt or answer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings

from aiinfra.providers.base import ChatAnswer, EmbeddingAnswer, ProviderAttempt, ProviderError, TokenUsage
from aiinfra.providers.registry import base_url_of
from aiinfra.tracing import spans
from aiinfra.tracing.spans import MaybeSpan

if TYPE_CHECKING:
    from opentelemetry.trace import Span

CHAT, EMBEDDINGS = "chat", "embeddings"
"""Operations, as the conventions name them."""
DEFAULT_PORTS = {"http": 80, "https": 443}


def call_span(operation: str, attempt: ProviderAttempt, **asked: Any) -> MaybeSpan:
    """A client span around one call; None without tracing. `asked` are attributes that begin with `gen_ai.request`."""
    return _call_span(operation, attempt, asked) if settings.TRACING else spans.NO_SPAN


def traced_headers(provider: str) -> dict[str, str]:
    """The trace of a call, for a provider that the operator trusts with it."""
    return spans.carried() if provider in settings.TRACED_PROVIDERS else {}


def describe(span: "Span", answer: ChatAnswer | EmbeddingAnswer, first_token_s: float | None = None) -> None:
    """Add the answer's attributes, and the seconds until the first token of a streamed answer."""
    if first_token_s is not None:
        span.set_attribute("gen_ai.response.time_to_first_chunk", first_token_s)
    if isinstance(answer, ChatAnswer):
        span.set_attributes(_of_answer(answer))
    if answer.usage:
        span.set_attributes(_of_usage(answer.usage))


@contextmanager
def _call_span(operation: str, attempt: ProviderAttempt, asked: Mapping[str, Any]) -> Iterator["Span | None"]:
    attributes = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": attempt.provider,
        "gen_ai.request.model": attempt.model,
        "aiinfra.attempt.id": str(attempt.id),
        **{f"gen_ai.request.{name}": value for name, value in asked.items() if value is not None},
        **_address(attempt.provider),
    }
    with spans.span(f"{operation} {attempt.model}", "CLIENT", attributes) as span:
        try:
            yield span
        except Exception as error:
            if span:
                _describe_failure(span, error)
            raise


def _address(provider: str) -> dict[str, Any]:
    url = urlsplit(base_url_of(provider))
    if not url.hostname:
        return {}
    return {"server.address": url.hostname, "server.port": url.port or DEFAULT_PORTS[url.scheme]}


def _describe_failure(span: "Span", error: Exception) -> None:
    spans.fail(span, error.code.value if isinstance(error, ProviderError) else type(error).__name__)
    if isinstance(error, ProviderError):
        if error.status:
            span.set_attribute("http.response.status_code", error.status)
        if error.usage:
            span.set_attributes(_of_usage(error.usage))


def _of_answer(answer: ChatAnswer) -> dict[str, Any]:
    found = {
        "gen_ai.response.model": answer.model,
        "gen_ai.response.finish_reasons": [answer.finish_reason],
        "aiinfra.provider.request_id": answer.provider_request_id,
    }
    return {name: value for name, value in found.items() if value}


def _of_usage(usage: TokenUsage) -> dict[str, Any]:
    """The conventions' input includes what the provider's prompt cache read and wrote."""
    further = {
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write + usage.cache_write_1h,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
    }
    counted = {name: count for name, count in further.items() if count}
    return {"gen_ai.usage.input_tokens": usage.prompt, "gen_ai.usage.output_tokens": usage.output, **counted}

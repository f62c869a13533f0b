"""OpenAI's text-embedding-3-small through the provider "openai", charged to the caller.

Each call is a separate attempt: reserved against the budgets, priced, and recorded in the ledger. The scale comes
from the specification and has not been measured: `manage.py calibrate_cache` measures it on labeled pairs with your own
account.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import numpy as np
from django.db import Error as DatabaseFailure
from django.db import transaction

from aiinfra.providers import breaker
from aiinfra.providers.base import (
    EmbeddingAnswer,
    EmbeddingCall,
    ErrorCode,
    ProviderAdapter,
    ProviderError,
    TokenUsage,
)
from aiinfra.providers.call_spans import EMBEDDINGS, call_span, describe
from aiinfra.providers.registry import ProviderNotConfiguredError, adapter_for
from aiinfra.providers.tokens import count_tokens
from aiinfra.tenants.scope import organization_scope
from cache_app.embedding.base import TEXTS_A_CALL, EmbedderError, EmbedderRefusedError, Payer, Scale, Vector
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt, AttemptOrder, BudgetRefusedError, ModelNotPricedError

PROVIDER, MODEL = "openai", "text-embedding-3-small"
DIMENSIONS = 1536
TIMEOUT = timedelta(seconds=2)
"""Short, because a client is waiting for the lookup."""
REFUSALS = {ErrorCode.INVALID_REQUEST, ErrorCode.CONTENT_FILTERED}
"""Errors that a healthy provider returns for a text that it does not accept."""

cost = create_cost_optimizer()


class OpenAiEmbedder:
    """Stateless. Must not be called inside a transaction: the cost is committed before the call is sent."""

    id = f"{PROVIDER}/{MODEL}"
    dimensions = DIMENSIONS
    scale = Scale(edge=0.85, clear=0.90, near=0.75)

    def prepare(self) -> None:
        """Nothing to load."""

    def embed(self, texts: Sequence[str], payer: Payer) -> list[Vector]:
        """The vectors in order, ten texts per call. Raises EmbedderError; vectors fetched before that are still
        charged.

        The API may return vectors for the same text that differ in the last digits.
        """
        try:
            with organization_scope(payer.organization_id):
                return [vector for batch in _batches(texts) for vector in _embedded(batch, payer)]
        except DatabaseFailure as error:
            raise EmbedderError("the ledger cannot be written") from error


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), TEXTS_A_CALL):
        yield list(texts[start : start + TEXTS_A_CALL])


def _embedded(texts: list[str], payer: Payer) -> list[Vector]:
    adapter = _adapter()
    if not breaker.allow(PROVIDER, MODEL, payer.organization_id).allowed:
        raise EmbedderError(f"{PROVIDER}/{MODEL} failed too often and is not called for now")
    attempt = _opened(texts, payer)
    try:
        with call_span(EMBEDDINGS, attempt.as_sent) as span:
            answer = adapter.embed(attempt.as_sent, EmbeddingCall(texts, TIMEOUT.total_seconds()))
            if span:
                describe(span, answer)
    except ProviderError as error:
        # We set the deadline, so a timeout is not the caller's doing.
        breaker.record_error(PROVIDER, MODEL, payer.organization_id, error, breaker.COUNTED_TIMEOUT_S)
        cost.book_failure(attempt, error)
        raise _embedder_error(error) from error
    breaker.record_success(PROVIDER, MODEL, payer.organization_id)
    _book(attempt, answer, texts)
    return _units(answer)


def _adapter() -> ProviderAdapter:
    try:
        return adapter_for(PROVIDER)
    except ProviderNotConfiguredError as error:
        raise EmbedderError(f"CACHE_EMBEDDER is {PROVIDER}, which has no key") from error


def _opened(texts: list[str], payer: Payer) -> Attempt:
    """The attempt, reserved and marked as sent in one commit: the sweeper books it after a crash.

    A budget never downgrades it to a cheaper model: a model without an output price is not downgraded.
    """
    try:
        with transaction.atomic(durable=True):
            attempt = cost.open_attempt(_order(texts, payer))
            cost.dispatch(attempt, TIMEOUT)
    except (BudgetRefusedError, ModelNotPricedError) as error:
        breaker.release_probe(PROVIDER, MODEL)
        raise EmbedderRefusedError(str(error)) from error
    except DatabaseFailure:
        breaker.release_probe(PROVIDER, MODEL)
        raise
    return attempt


def _order(texts: list[str], payer: Payer) -> AttemptOrder:
    """An embedding has no output to pay for."""
    return AttemptOrder(
        organization_id=payer.organization_id,
        provider=PROVIDER,
        model=MODEL,
        messages=[{"content": text} for text in texts],
        max_tokens=0,
        api_key_id=payer.api_key_id,
        user_ref=payer.user_ref,
    )


def _embedder_error(error: ProviderError) -> EmbedderError:
    return EmbedderRefusedError(str(error)) if error.code in REFUSALS else EmbedderError(str(error))


def _book(attempt: Attempt, answer: EmbeddingAnswer, texts: Sequence[str]) -> None:
    """Count the tokens here if the provider sent no usable counts."""
    if answer.usage:
        cost.settle(attempt, answer.usage, answer.raw_usage)
    else:
        cost.settle_uncounted(attempt, TokenUsage(input=sum(map(count_tokens, texts))), answer.raw_usage)


def _units(answer: EmbeddingAnswer) -> list[Vector]:
    if any(len(vector) != DIMENSIONS or not any(vector) for vector in answer.vectors):
        raise EmbedderError(f"{PROVIDER} returned vectors that are zero or do not have {DIMENSIONS} dimensions")
    rows = np.array(answer.vectors)
    return list((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))

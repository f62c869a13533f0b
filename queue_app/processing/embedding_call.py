"""Embeds texts for a waiting client: one attempt, held, priced and booked like a chat call, without the queue."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction

from aiinfra.providers import breaker
from aiinfra.providers.base import EmbeddingAnswer, EmbeddingCall, ErrorCode, ProviderError
from aiinfra.providers.call_spans import EMBEDDINGS, call_span, describe
from aiinfra.providers.registry import ProviderNotConfiguredError, adapter_for
from cost_app import create_cost_optimizer
from cost_app.facade import Attempt, AttemptOrder
from queue_app.embedding_webhooks import EmbeddingWebhook
from queue_app.submission import key_rates
from queue_app.submission.submission import Submission

cost = create_cost_optimizer()


def embed(asked: Submission, call: EmbeddingCall, reference: UUID | None = None) -> EmbeddingAnswer:
    """Send the call once. `asked` says who pays; its messages are the texts. Must not run inside a transaction.

    With a `reference`, the attempt is booked under it, as those of a request are under its ID.

    Raises ProviderError, ModelNotPricedError, BudgetRefusedError and KeyRateError.
    """
    caller = (asked.provider, asked.model, asked.organization_id)
    try:
        adapter = adapter_for(asked.provider)
    except ProviderNotConfiguredError:
        message = f"The provider {asked.provider} is not configured."
        raise ProviderError(ErrorCode.MODEL_NOT_FOUND, message, may_be_billed=False) from None
    decision = breaker.allow(*caller)
    if not decision.allowed:
        message = f"{asked.provider}/{asked.model} failed too often and is not called for now."
        raise ProviderError(ErrorCode.CIRCUIT_OPEN, message, may_be_billed=False, retry_after_s=decision.retry_in_s)
    webhook = EmbeddingWebhook(asked)
    attempt = _opened(asked, call, reference, webhook)
    try:
        with call_span(EMBEDDINGS, attempt.as_sent) as span:
            answer = adapter.embed(attempt.as_sent, call)
            if span:
                describe(span, answer)
    except ProviderError as error:
        breaker.record_error(*caller, error, call.timeout_s)
        with transaction.atomic():
            cost.book_failure(attempt, error)
            webhook.end(attempt)
        raise
    breaker.record_success(*caller)
    with transaction.atomic():
        if answer.usage:
            cost.settle(attempt, answer.usage, answer.raw_usage)
        else:
            # The maximum: a tokenizer is too large for web processes.
            cost.settle_uncounted(attempt, None, answer.raw_usage)
        webhook.end(attempt)
    return answer


def _opened(asked: Submission, call: EmbeddingCall, reference: UUID | None, webhook: EmbeddingWebhook) -> Attempt:
    """The attempt, reserved and marked as sent in one commit: the sweeper books it after a crash."""
    order = AttemptOrder(
        organization_id=asked.organization_id,
        provider=asked.provider,
        model=asked.model,
        messages=list(asked.messages),
        max_tokens=0,
        request_id=reference,
        number=len(cost.attempts_of([reference])) + 1 if reference else 1,
        api_key_id=asked.api_key_id,
        user_ref=asked.user_ref,
        tags=asked.tags,
        priority=asked.priority,
    )
    timeout = timedelta(seconds=call.timeout_s)
    try:
        with key_rates.charged(asked.key_limits, order), transaction.atomic(durable=True):
            attempt = cost.open_attempt(order)
            cost.dispatch(attempt, timeout)
            webhook.begin(attempt, timeout)
    except Exception:
        breaker.release_probe(asked.provider, asked.model)
        raise
    return attempt

"""What would happen to a submission: its route, its cost, and its place. Nothing is called, and nothing is written."""

from dataclasses import dataclass

from aiinfra.providers.registry import is_configured
from cost_app import create_cost_optimizer
from cost_app.facade import DEFAULT_OUTPUT_TOKENS, AttemptOrder, Quote
from queue_app.submission import intake
from queue_app.submission.intake import UnknownProviderError
from queue_app.submission.room import place_in_queue
from queue_app.submission.submission import Submission

cost = create_cost_optimizer()


@dataclass(frozen=True)
class DryRun:
    """The quote names the model that would be called first; `fallbacks` are (provider, model) pairs in order."""

    quote: Quote
    fallbacks: list[tuple[str, str]]
    position: int
    """Approximate, starting at 1; a call that may start at once does not wait for those before it."""


def dry_run(submission: Submission, *, has_answer: bool = True) -> DryRun:
    """Quote a submission. `has_answer` is False for embeddings, which have no output tokens.

    Raises UnknownProviderError, ModelNotPricedError and QueueFullError. The cache is not asked.
    """
    if not is_configured(submission.provider):
        raise UnknownProviderError("provider", f"Unknown provider {submission.provider!r}.")
    position = place_in_queue(submission)
    terms = intake.call_terms(submission)
    order = AttemptOrder(
        organization_id=submission.organization_id,
        provider=terms.provider,
        model=terms.model,
        messages=list(submission.messages),
        max_tokens=(terms.max_tokens or DEFAULT_OUTPUT_TOKENS) if has_answer else 0,
        service_tier=submission.service_tier,
        parameters=submission.parameters,
        api_key_id=submission.api_key_id,
        user_ref=submission.user_ref,
        tags=submission.tags,
        priority=submission.priority,
    )
    quote = cost.quote(order)
    fallbacks = cost.fallback_chain(submission.organization_id, quote.provider, quote.model) if has_answer else []
    return DryRun(quote, fallbacks, position)

"""Answers from our own cache: they cost nothing, and what the call would have cost is booked as saved."""

from collections.abc import Sequence
from uuid import UUID

from aiinfra.names import normal_name, normal_names
from aiinfra.providers.base import TokenUsage
from cost_app.ledger.entries import book_entry
from cost_app.models import LedgerKind
from cost_app.models.ledger import token_columns
from cost_app.prices.lookup import ModelNotPricedError, price_of
from cost_app.prices.pricing import cost_of


def book_cache_hit(
    *,
    organization_id: int,
    request_id: UUID,
    provider: str,
    model: str,
    usage: TokenUsage,
    api_key_id: int | None = None,
    user_ref: str = "",
    tags: Sequence[str] = (),
    priority: int | None = None,
    latency_ms: int | None = None,
) -> int:
    """Book the cache hit that answered a request; returns the savings in nano-dollars at the current price.

    `usage` is that of the call whose answer was served. There is no attempt, because no call was made; the caller books
    a request only once by doing it in the transaction that ends the request.
    """
    saved = savings_of(provider, model, usage)
    book_entry(
        organization_id=organization_id,
        request_id=request_id,
        provider=provider,
        model=model,
        api_key_id=api_key_id,
        user_ref=normal_name(user_ref),
        tags=normal_names(tags),
        priority=priority,
        kind=LedgerKind.CACHE_HIT,
        nano=0,
        saved_nano=saved,
        calls=1,
        latency_ms=latency_ms,
        **token_columns(usage),
    )
    return saved


def savings_of(provider: str, model: str, usage: TokenUsage) -> int:
    """What a call with this usage costs now, in nano-dollars; 0 for a model without a price."""
    try:
        return cost_of(usage, price_of(provider, model))
    except ModelNotPricedError:
        return 0

"""What a used call costs: at the price of the tier that answered, or as the provider reports it."""

from dataclasses import dataclass
from datetime import datetime

from aiinfra.providers.base import TokenUsage
from cost_app.models import BookedCost, ModelPrice, ProviderBilling, UsageIssue
from cost_app.prices.fees import unpriced_tools
from cost_app.prices.lookup import ModelNotPricedError, price_of
from cost_app.prices.pricing import cost_of

TOLERANCE_PERCENT = 1
TOLERANCE_NANO = 1_000
"""A millionth of a dollar: providers round what they report."""


@dataclass(frozen=True)
class Bill:
    """Nano-dollars to book for a call, the price behind them, and doubts about them."""

    nano: int
    price: ModelPrice | None
    issue: str = ""


def bill_of(provider: str, model: str, usage: TokenUsage, price: ModelPrice | None, at: datetime | None) -> Bill:
    """The bill for a call that was reserved at `price` and sent at `at`, now by default.

    A tier without a price and a tool without a fee add an issue. Without a reserved price (None) the model stays
    unpriced.
    """
    served = _served(provider, model, usage.tier, price, at) if price else None
    ours = cost_of(usage, served, at=at) if served else 0
    issue = _missing(usage, served, at) if served else ""
    reported = usage.reported_nano
    if reported is None:
        return Bill(ours, served, issue)
    if served and not issue and differs(ours, reported):
        issue = UsageIssue.COST_DIFFERS.value
    return Bill(reported if books_reported_cost(provider) else ours, served, issue)


def _served(provider: str, model: str, tier: str, held: ModelPrice, at: datetime | None) -> ModelPrice:
    """The price of the tier that answered; the reserved one if the model's prices have ended in the meantime."""
    if held.tier == tier:
        return held
    try:
        return price_of(provider, model, tier=tier, at=at)
    except ModelNotPricedError:
        return held


def _missing(usage: TokenUsage, served: ModelPrice, at: datetime | None) -> str:
    """What the price book lacks for a usage."""
    if served.tier != usage.tier:
        return UsageIssue.TIER_UNPRICED.value
    return UsageIssue.TOOL_UNPRICED.value if unpriced_tools(usage, served, at) else ""


def differs(ours: int, reported: int) -> bool:
    """Whether two costs differ by more than 1% of ours and more than a millionth of a dollar."""
    difference = abs(ours - reported)
    return difference > TOLERANCE_NANO and difference * 100 > ours * TOLERANCE_PERCENT


def books_reported_cost(provider: str) -> bool:
    """Whether staff chose to book what this provider reports."""
    return ProviderBilling.objects.filter(provider=provider, booked_cost=BookedCost.REPORTED).exists()

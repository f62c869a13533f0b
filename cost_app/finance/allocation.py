"""Splitting an amount by token class. The ledger knows what a call cost in all; a class's share is worked out here."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from cost_app.models import ModelPrice, PriceTier

TOKEN_CLASSES = ("input", "cache_read", "cache_write", "output")
"""The disjoint classes; reasoning is a part of output."""


def allocate(amount: int, weights: Sequence[int]) -> list[int]:
    """Parts of an amount in proportion to weights, which add up to it exactly (method of the largest remainder).

    Equal remainders go to the earlier part. Raises ValueError where every weight is 0 and the amount is not.
    """
    total = sum(weights)
    if not total:
        if amount:
            raise ValueError("an amount cannot be split by weights of nothing")
        return [0] * len(weights)
    parts = [amount * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda at: (-(amount * weights[at] % total), at))
    for at in by_remainder[: amount - sum(parts)]:
        parts[at] += 1
    return parts


class PriceList:
    """The standard prices of every model, by time, outside of price windows; read once, for one report."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], list[ModelPrice]] = {}
        plain = ModelPrice.objects.filter(tier=PriceTier.STANDARD, window_name="")
        for price in plain.order_by("effective_from", "id"):
            self._versions.setdefault((price.provider, price.model), []).append(price)

    def price(self, provider: str, model: str, before: datetime) -> ModelPrice | None:
        """The last version that was in force before an instant; None for a model without a price."""
        versions = self._versions.get((provider, model), [])
        return next((price for price in reversed(versions) if price.effective_from < before), None)


def weights_of(tokens: Mapping[str, int], price: ModelPrice | None) -> list[int]:
    """Tokens x price of each class; the tokens alone where there is no price, or a price of nothing."""
    weights = [tokens[name] * getattr(price, name) for name in TOKEN_CLASSES] if price else []
    return weights if any(weights) else [tokens[name] for name in TOKEN_CLASSES]

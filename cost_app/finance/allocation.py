"""Splitting an amount by token class. The ledger knows what a call cost in all; a class's share is worked out here."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from cost_app.models import ModelPrice, PriceTier
from cost_app.prices.book import price_among, read_versions
from cost_app.prices.pricing import TOKENS_PER_PRICE, amounts_of

TOKEN_CLASSES = ("input", "cache_read", "cache_write", "output")
"""The disjoint classes; reasoning is a part of output."""

Rates = tuple[int, ...]
"""Nano-dollars per million tokens of each class."""


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
    """Every version of the price book, read once for one report."""

    def __init__(self) -> None:
        self._by_id = {price.pk: price for price in ModelPrice.objects.order_by("-effective_from", "window_name")}
        rows: dict[tuple[str, str], list[ModelPrice]] = {}
        for price in self._by_id.values():
            rows.setdefault((price.provider, price.model), []).append(price)
        self._versions = {name: read_versions(prices) for name, prices in rows.items()}

    def billed_at(
        self, provider: str, model: str, at: datetime, tokens: Sequence[int], nano: int, price_id: int | None = None
    ) -> tuple[ModelPrice | None, bool]:
        """The version that a call was billed at, and whether its cost is that of the tokens at this version.

        First the one that the call's attempt names, then the one in force at the instant, then any that gives the
        cost: an attempt that was priced again names the new version, and its first booking has the cost of the old one.
        """
        first: ModelPrice | None = None
        for price in self._candidates(provider, model, at, price_id):
            if cost_at(rates_of(price, tokens), tokens) == nano:
                return price, True
            first = first or price
        return first, False

    def in_force(self, provider: str, model: str, at: datetime) -> ModelPrice | None:
        """The standard version in force at an instant; None for a model without a price then."""
        return price_among(self._versions.get((provider, model), []), PriceTier.STANDARD, at)

    def _candidates(self, provider: str, model: str, at: datetime, price_id: int | None) -> Iterator[ModelPrice]:
        if price_id in self._by_id:
            yield self._by_id[price_id]
        if price := self.in_force(provider, model, at):
            yield price
        yield from (version.price for version in self._versions.get((provider, model), []))


def rates_of(price: ModelPrice, tokens: Sequence[int]) -> Rates:
    """What each class costs in a call with these tokens, long prompts included; nano-dollars per million."""
    return amounts_of(price, sum(tokens[:-1]))


def cost_at(rates: Rates, tokens: Sequence[int]) -> int:
    """Nano-dollars, rounded up once, as calls are billed."""
    return -(-sum(count * rate for count, rate in zip(tokens, rates, strict=True)) // TOKENS_PER_PRICE)


def weights_of(tokens: Mapping[str, int], price: ModelPrice | None) -> list[int]:
    """Tokens x price of each class; the tokens alone where there is no price, or a price of nothing."""
    weights = [tokens[name] * getattr(price, name) for name in TOKEN_CLASSES] if price else []
    return weights if any(weights) else [tokens[name] for name in TOKEN_CLASSES]

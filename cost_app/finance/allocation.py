"""Splitting an amount by token class. The ledger knows what a call cost in all; a class's share is worked out here."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from aiinfra.providers.base import TokenUsage
from cost_app.models import ModelAlias, ModelPrice, PriceTier, ProposalState, ToolFee
from cost_app.prices.aliases import alias_among
from cost_app.prices.book import Version, price_among, read_versions
from cost_app.prices.fees import fees_among
from cost_app.prices.pricing import cost_of, unit_prices

TOKEN_CLASSES = ("input", "cache_read", "cache_write", "output")
"""The disjoint classes of providers' files, where `cache_write` holds all writes; reasoning is a part of output."""
PRICED_CLASSES = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
"""The disjoint classes that are priced separately; here `cache_write` holds the 5-minute writes alone."""

Rates = tuple[int, ...]
"""Nano-dollars per million tokens of each priced class."""


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
    """Every version, alias and tool fee of the price book, read once for one report."""

    def __init__(self) -> None:
        self._by_id = {price.pk: price for price in ModelPrice.objects.order_by("-effective_from", "window_name")}
        rows: dict[tuple[str, str], list[ModelPrice]] = defaultdict(list)
        for price in self._by_id.values():
            rows[price.provider, price.model].append(price)
        self._versions = {name: read_versions(prices) for name, prices in rows.items()}
        self._fees: dict[str, list[ToolFee]] = defaultdict(list)
        for fee in ToolFee.objects.all():
            self._fees[fee.provider].append(fee)
        self._aliases: dict[str, list[ModelAlias]] = defaultdict(list)
        for alias in ModelAlias.objects.filter(state=ProposalState.APPROVED):
            self._aliases[alias.provider].append(alias)

    def billed_at(
        self, provider: str, model: str, at: datetime, usage: TokenUsage, nano: int, price_id: int | None = None
    ) -> tuple[ModelPrice | None, bool]:
        """The version that a call was billed at, and whether its cost is that of the usage at this version.

        First the one that the call's attempt names, then the one in force at the instant, then any that gives the
        cost: an attempt that was priced again names the new version, and its first booking has the cost of the old one.
        """
        first: ModelPrice | None = None
        for price in self._candidates(provider, model, at, usage.tier, price_id):
            if cost_of(usage, price, fees=self.fees_at(price, at)) == nano:
                return price, True
            first = first or price
        return first, False

    def fees_at(self, price: ModelPrice, at: datetime) -> dict[str, int]:
        """Nano-dollars per use by tool, for calls at this price that left at an instant."""
        return fees_among(self._fees.get(price.provider, []), price.model, at)

    def in_force(
        self, provider: str, model: str, at: datetime, tier: str = PriceTier.STANDARD.value
    ) -> ModelPrice | None:
        """The version in force at an instant, as `price_of` finds it; None for a model without a price then."""
        for versions in self._named(provider, model, at):
            for billed in (tier, PriceTier.STANDARD.value):
                if price := price_among(versions, billed, at):
                    return price
        return None

    def _named(self, provider: str, model: str, at: datetime) -> list[list[Version]]:
        """The versions of the model itself, then those of the model that it is an alias of."""
        names = (model, alias_among(self._aliases.get(provider, []), model, at))
        return [self._versions[provider, name] for name in names if (provider, name) in self._versions]

    def _candidates(
        self, provider: str, model: str, at: datetime, tier: str, price_id: int | None
    ) -> Iterator[ModelPrice]:
        if price_id in self._by_id:
            yield self._by_id[price_id]
        if price := self.in_force(provider, model, at, tier):
            yield price
        for versions in self._named(provider, model, at):
            yield from (version.price for version in versions)


def rates_of(price: ModelPrice, prompt: int) -> Rates:
    """What each priced class costs in a call with this many prompt tokens; nano-dollars per million."""
    unit = unit_prices(price, prompt)
    return tuple(getattr(unit, name) for name in PRICED_CLASSES)


def weights_of(tokens: Mapping[str, int], price: ModelPrice | None, hour_writes: int = 0) -> list[int]:
    """Tokens x price of each of `TOKEN_CLASSES`; the tokens alone where there is no price, or a price of nothing.

    `hour_writes` are those of the cache writes that live 1 hour.
    """
    weights = []
    if price:
        unit = unit_prices(price, 0)
        weights = [tokens[name] * getattr(unit, name) for name in TOKEN_CLASSES]
        weights[TOKEN_CLASSES.index("cache_write")] += hour_writes * (unit.cache_write_1h - unit.cache_write)
    return weights if any(weights) else [tokens[name] for name in TOKEN_CLASSES]

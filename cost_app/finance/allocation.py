"""Splits amounts by token class. The ledger stores a call's total cost; each class's share is calculated here."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from aiinfra.providers.base import TokenUsage
from cost_app.models import ModelAlias, ModelPrice, PriceTier, ProposalState, ToolFee
from cost_app.prices.aliases import alias_among
from cost_app.prices.fees import fees_among
from cost_app.prices.lookup import Version, price_among, read_versions
from cost_app.prices.pricing import cost_of, unit_prices

TOKEN_CLASSES = ("input", "cache_read", "cache_write", "output")
"""Disjoint classes in providers' files. `cache_write` includes all writes, and output includes reasoning."""
PRICED_CLASSES = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
"""Disjoint classes with their own prices. Here, `cache_write` is only the 5-minute writes."""

Rates = tuple[int, ...]
"""Nano-dollars per million tokens of each priced class."""


def allocate(amount: int, weights: Sequence[int]) -> list[int]:
    """Split an amount in proportion to weights, so that the parts add up exactly (largest remainder method).

    Equal remainders go to the earlier part. Raises ValueError if all weights are 0 and the amount is not.
    """
    total = sum(weights)
    if not total:
        if amount:
            raise ValueError("cannot split an amount if all weights are zero")
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
        for fee in ToolFee.objects.filter(state=ProposalState.APPROVED):
            self._fees[fee.provider].append(fee)
        self._aliases: dict[str, list[ModelAlias]] = defaultdict(list)
        for alias in ModelAlias.objects.filter(state=ProposalState.APPROVED):
            self._aliases[alias.provider].append(alias)

    def billed_at(
        self, provider: str, model: str, at: datetime, usage: TokenUsage, nano: int, price_id: int | None = None
    ) -> tuple[ModelPrice | None, bool]:
        """The version that a call was billed at, and whether that version yields its cost.

        Tries the version of the call's attempt, then the one in force at the time, then any that yields the cost:
        after repricing, the attempt names the new version, but its first booking has the old cost.
        """
        first: ModelPrice | None = None
        for price in self._candidates(provider, model, at, usage.tier, price_id):
            if cost_of(usage, price, fees=self.fees_at(price, at)) == nano:
                return price, True
            first = first or price
        return first, False

    def fees_at(self, price: ModelPrice, at: datetime) -> dict[str, int]:
        """Nano-dollars per use by tool, for calls at this price that were sent at `at`."""
        return fees_among(self._fees.get(price.provider, []), price.model, at)

    def in_force(
        self, provider: str, model: str, at: datetime, tier: str = PriceTier.STANDARD.value
    ) -> ModelPrice | None:
        """The version in force at a time, as `price_of` finds it. None if the model had no price then."""
        for versions in self._named(provider, model, at):
            for billed in (tier, PriceTier.STANDARD.value):
                if price := price_among(versions, billed, at):
                    return price
        return None

    def _named(self, provider: str, model: str, at: datetime) -> list[list[Version]]:
        """Versions of the model itself, then of the model that it is an alias for."""
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
    """The rate of each priced class for a prompt of this length, in nano-dollars per million tokens."""
    unit = unit_prices(price, prompt)
    return tuple(getattr(unit, name) for name in PRICED_CLASSES)


def weights_of(tokens: Mapping[str, int], price: ModelPrice | None, hour_writes: int = 0) -> list[int]:
    """Tokens x price of each of `TOKEN_CLASSES`; only the tokens if there is no price or the price is zero.

    `hour_writes` are the cache writes that are kept for one hour.
    """
    weights = []
    if price:
        unit = unit_prices(price, 0)
        weights = [tokens[name] * getattr(unit, name) for name in TOKEN_CLASSES]
        weights[TOKEN_CLASSES.index("cache_write")] += hour_writes * (unit.cache_write_1h - unit.cache_write)
    return weights if any(weights) else [tokens[name] for name in TOKEN_CLASSES]

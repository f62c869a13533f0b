"""Which price holds for a model at an instant.

Of several versions of one (tier, window name) the one with the latest beginning holds, if it has not ended. Of those
that hold, one whose weekly window matches the instant wins over the one without a window.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet
from django.utils import timezone

from cost_app.models import ModelPrice, PriceTier
from cost_app.prices.shipped import add_shipped_prices
from cost_app.prices.windows import Hours, holds_at, parse_window

__all__ = [
    "ModelNotPricedError",
    "add_shipped_prices",
    "forget_prices",
    "in_force",
    "price_among",
    "price_of",
    "priced_models",
    "prices_ahead",
    "read_versions",
]

CACHE_SECONDS = 5
AHEAD = timedelta(days=1)
"""A call may wait: what begins within this time is part of what it can cost."""


class ModelNotPricedError(LookupError):
    """No price is known for the model, so that what it costs cannot be bounded."""


@dataclass(frozen=True, slots=True)
class Version:
    """A row of the book with its window read once."""

    price: ModelPrice
    window: tuple[Hours, ...]

    def is_in_force(self, at: datetime) -> bool:
        ends_at = self.price.effective_to
        return self.price.effective_from <= at and (ends_at is None or at < ends_at)


_cache: dict[tuple[str, str], tuple[float, list[Version]]] = {}


def price_of(provider: str, model: str, *, tier: str = PriceTier.STANDARD, at: datetime | None = None) -> ModelPrice:
    """The price version in force at an instant, now by default. Raises ModelNotPricedError.

    A model's versions are kept in process for 5 s; a look-up among them takes some microseconds.
    """
    price = price_among(_versions(provider, model), tier, at or timezone.now())
    if price is None:
        raise ModelNotPricedError(f"{provider}/{model} is not in the price book")
    return price


def price_among(versions: Sequence[Version], tier: str, at: datetime) -> ModelPrice | None:
    """The one of a model's versions that is in force at an instant; see `read_versions`."""
    plain = None
    for version in _latest_of_each_window(versions, tier, at):
        if not version.window:
            plain = version.price
        elif holds_at(version.window, at):
            return version.price
    return plain


def read_versions(rows: Iterable[ModelPrice]) -> list[Version]:
    """Rows of one model, with their windows read once. They must come with the latest beginning first."""
    return [Version(row, parse_window(row.window)) for row in rows]


def prices_ahead(provider: str, model: str) -> tuple[ModelPrice, ...]:
    """Every standard price that a call admitted now can have: all hours of the week, and what begins within a day.

    Raises ModelNotPricedError.
    """
    now = timezone.now()
    versions = _versions(provider, model)
    ahead = [version.price for version in _latest_of_each_window(versions, PriceTier.STANDARD, now)]
    ahead += [version.price for version in versions if _begins_soon(version.price, now)]
    if not ahead:
        raise ModelNotPricedError(f"{provider}/{model} is not in the price book")
    return tuple(ahead)


def priced_models(among: Iterable[tuple[str, str]] | None = None) -> list[tuple[str, str]]:
    """Every (provider, model) that has a standard price now, or those of some models that have one; sorted.

    Not those that charge for what goes in and nothing for what comes out: embeddings, which no chat can use.
    """
    chat = in_force().filter(tier=PriceTier.STANDARD).exclude(input__gt=0, output=0)
    if among is not None:
        chat = chat.filter(reduce(or_, (Q(provider=provider, model=model) for provider, model in among), Q(pk__in=[])))
    return sorted(set(chat.values_list("provider", "model")))


def in_force() -> QuerySet[ModelPrice]:
    """The versions that have begun and not ended; of one (tier, window name) these can be several."""
    now = timezone.now()
    not_ended = Q(effective_to=None) | Q(effective_to__gt=now)
    return ModelPrice.objects.filter(not_ended, effective_from__lte=now)


def forget_prices() -> None:
    """Read every price anew from here on."""
    _cache.clear()


def _begins_soon(price: ModelPrice, now: datetime) -> bool:
    return price.tier == PriceTier.STANDARD and now < price.effective_from <= now + AHEAD


def _latest_of_each_window(versions: Sequence[Version], tier: str, at: datetime) -> Iterator[Version]:
    """Versions come with the latest beginning first."""
    seen: set[str] = set()
    for version in versions:
        name = version.price.window_name
        if version.price.tier == tier and name not in seen and version.is_in_force(at):
            seen.add(name)
            yield version


def _versions(provider: str, model: str) -> list[Version]:
    read_at, versions = _cache.get((provider, model), (0.0, []))
    if not versions or time.monotonic() - read_at > CACHE_SECONDS:
        rows = ModelPrice.objects.filter(provider=provider, model=model).order_by("-effective_from", "window_name")
        versions = read_versions(rows)
        if versions:
            _cache[provider, model] = (time.monotonic(), versions)
    return versions

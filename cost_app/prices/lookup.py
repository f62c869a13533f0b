"""Which price applies to a model at an instant.

Of several versions of one (tier, window name), the one that began last applies, unless it has ended. Among those that
apply, one whose weekly window matches the instant takes precedence over one without a window.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet
from django.utils import timezone

from aiinfra import epochs
from aiinfra.timed_cache import TimedCache
from cost_app.models import ModelPrice, PriceTier
from cost_app.prices.aliases import family_of, forget_aliases, priced_as, targets_of
from cost_app.prices.fees import forget_fees
from cost_app.prices.shipped import add_shipped_prices
from cost_app.prices.windows import Hours, holds_at, parse_window

__all__ = [
    "ModelNotPricedError",
    "add_shipped_prices",
    "clear_price_cache",
    "embedding_models",
    "in_force",
    "price_among",
    "price_of",
    "priced_models",
    "prices_ahead",
    "read_versions",
    "served_tiers",
]

AHEAD = timedelta(days=1)
"""A call may wait: prices that begin within this time are part of what it can cost."""


class ModelNotPricedError(LookupError):
    """The model has no known price, so its cost cannot be bounded."""


@dataclass(frozen=True, slots=True)
class Version:
    """A row of the book with its parsed window."""

    price: ModelPrice
    window: tuple[Hours, ...]

    def is_in_force(self, at: datetime) -> bool:
        ends_at = self.price.effective_to
        return self.price.effective_from <= at and (ends_at is None or at < ends_at)


def price_of(provider: str, model: str, *, tier: str = PriceTier.STANDARD, at: datetime | None = None) -> ModelPrice:
    """The price version in force at an instant, now by default. Raises ModelNotPricedError.

    A name without a price has that of its approved alias. A tier without a price is billed at the model's standard
    price, never at nothing: the returned version says which tier it is. A model's versions are cached in process for 5
    s; a lookup among them takes some microseconds.
    """
    at = at or timezone.now()
    for name in _names(provider, model, at):
        versions = _versions.of((provider, name))
        for billed in dict.fromkeys((tier, PriceTier.STANDARD.value)):
            if price := price_among(versions, billed, at):
                return price
    raise _not_priced(provider, model)


def price_among(versions: Sequence[Version], tier: str, at: datetime) -> ModelPrice | None:
    """Which of a model's versions is in force at an instant; see `read_versions`."""
    plain = None
    for version in _latest_of_each_window(versions, tier, at):
        if not version.window:
            plain = version.price
        elif holds_at(version.window, at):
            return version.price
    return plain


def read_versions(rows: Iterable[ModelPrice]) -> list[Version]:
    """Rows of one model with parsed windows. They must come with the latest beginning first."""
    return [Version(row, parse_window(row.window)) for row in rows]


def prices_ahead(
    provider: str, model: str, tiers: Iterable[str] = (PriceTier.STANDARD.value,)
) -> tuple[ModelPrice, ...]:
    """Every price that a call admitted now can have: all hours of the week, and prices that begin within a day.

    `tiers` are those that may serve the call (`served_tiers`); the standard tier replaces a tier without a price.
    Raises ModelNotPricedError.
    """
    now = timezone.now()
    served = {PriceTier.STANDARD.value, *tiers}
    for name in _names(provider, model, now):
        versions = _versions.of((provider, name))
        ahead = [version.price for tier in served for version in _latest_of_each_window(versions, tier, now)]
        ahead += [version.price for version in versions if _begins_soon(version.price, served, now)]
        if ahead:
            return tuple(ahead)
    raise _not_priced(provider, model)


def served_tiers(requested: str | None) -> frozenset[str]:
    """The tiers that may answer a request with this `service_tier`; without one, the standard tier.

    A provider may fall back to its standard tier. `auto` leaves the choice to the provider's settings: any tier may
    answer, except batch, which is another interface.
    """
    standard = PriceTier.STANDARD.value
    if requested == "auto":
        return frozenset({standard, PriceTier.FLEX.value, PriceTier.PRIORITY.value})
    return frozenset({standard, requested} if requested in PriceTier.values else {standard})


def priced_models(among: Iterable[tuple[str, str]] | None = None) -> list[tuple[str, str]]:
    """Every (provider, model) with a current standard price, or those of the given models that have one; sorted.

    Aliases are included only if models are given; the answer is then remembered within an epoch. Models that charge for
    input but nothing for output are excluded: embeddings, which no chat can use.
    """
    return sorted(
        set(_chat_prices().values_list("provider", "model")) if among is None else _priced.of(frozenset(among))
    )


def _priced_among(asked: frozenset[tuple[str, str]]) -> set[tuple[str, str]]:
    priced = _of_models(_chat_prices(), asked)
    targets = targets_of(asked - priced, timezone.now())
    held = _of_models(_chat_prices(), set(targets.values())) if targets else set()
    return priced | {alias for alias, target in targets.items() if target in held}


_priced = TimedCache(_priced_among, seconds=0, owner=lambda *_: epochs.INSTALLATION, keys_max=1_000, keeps_empty=False)


def _chat_prices() -> QuerySet[ModelPrice]:
    return in_force().filter(tier=PriceTier.STANDARD).exclude(input__gt=0, output=0)


def embedding_models() -> list[tuple[str, str]]:
    """Every (provider, model) that charges for input and nothing for output; sorted."""
    priced = in_force().filter(tier=PriceTier.STANDARD, input__gt=0, output=0)
    return sorted(set(priced.values_list("provider", "model")))


def _of_models(prices: QuerySet[ModelPrice], models: Set[tuple[str, str]]) -> set[tuple[str, str]]:
    named = reduce(or_, (Q(provider=provider, model=model) for provider, model in models), Q(pk__in=[]))
    return set(prices.filter(named).values_list("provider", "model"))


def in_force() -> QuerySet[ModelPrice]:
    """The versions that have begun and not ended; one (tier, window name) can have several."""
    now = timezone.now()
    not_ended = Q(effective_to=None) | Q(effective_to__gt=now)
    return ModelPrice.objects.filter(not_ended, effective_from__lte=now)


def clear_price_cache() -> None:
    """Read every price, alias and fee again on its next use."""
    _versions.forget()
    _priced.forget()
    forget_aliases()
    forget_fees()


def _names(provider: str, model: str, at: datetime) -> Iterator[str]:
    """The model itself, then the target of its alias: an alias never overrides a model's own price."""
    yield model
    if target := priced_as(provider, model, at):
        yield target


def _not_priced(provider: str, model: str) -> ModelNotPricedError:
    text = f"{provider}/{model} is not in the price book"
    family = family_of(model)
    if family and _versions.of((provider, family)):
        text += f"; it looks like a snapshot of {provider}/{family}, and an alias for that model would price it"
    return ModelNotPricedError(f"{text}.")


def _begins_soon(price: ModelPrice, tiers: set[str], now: datetime) -> bool:
    return price.tier in tiers and now < price.effective_from <= now + AHEAD


def _latest_of_each_window(versions: Sequence[Version], tier: str, at: datetime) -> Iterator[Version]:
    """Versions come with the latest beginning first."""
    seen: set[str] = set()
    for version in versions:
        name = version.price.window_name
        if version.price.tier == tier and name not in seen and version.is_in_force(at):
            seen.add(name)
            yield version


def _read_model(key: tuple[str, str]) -> list[Version]:
    provider, model = key
    rows = ModelPrice.objects.filter(provider=provider, model=model)
    return read_versions(rows.order_by("-effective_from", "window_name"))


_versions = TimedCache(_read_model, seconds=5, owner=lambda *_: epochs.INSTALLATION, keeps_empty=False)

"""What the package genai-prices says about text models of our providers.

Works offline. Skipped: models without a price for input and output tokens, prices for images or sound, names that are
only prefixes, and prices that change by the hour: the package has no weekdays, so those are kept by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cost_app.models import PriceTier
from cost_app.prices.aliases import family_of
from cost_app.prices.pricing import HOUR_CACHE_FACTOR
from cost_app.prices.shipped import EFFECTIVE_FROM, nano_of
from cost_app.prices.terms import AMOUNTS, OPTIONAL_AMOUNT, PriceTerms

if TYPE_CHECKING:
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice

PACKAGE = "genai-prices"
PROVIDERS = ("anthropic", "deepseek", "openai")
CONTEXTS = {
    PriceTier.STANDARD: None,
    PriceTier.BATCH: {"processing": "batch"},
    PriceTier.FLEX: {"service_tier": "flex"},
    PriceTier.PRIORITY: {"service_tier": "priority"},
}
"""The package's names of our tiers."""
OTHER_THAN_TEXT = ("audio", "image", "video")


@dataclass(frozen=True)
class SourcePrice:
    """A price in the package, and the day on which it takes effect."""

    terms: PriceTerms
    effective_from: datetime


def source_name() -> str:
    """The package with its version, as rows name it; does not load the package."""
    return f"{PACKAGE} {version(PACKAGE)}"


def read_source() -> tuple[list[SourcePrice], list[tuple[str, str]]]:
    """Every price that can be imported, oldest first within a model, and the models whose price changes by the hour.

    Loading the package takes 0.2 s and 20 MB, so it is imported late.
    """
    from genai_prices.data import providers

    prices: list[SourcePrice] = []
    by_hand: list[tuple[str, str]] = []
    for provider in providers:
        for model in provider.models if provider.id in PROVIDERS else []:
            if not _is_text(model):
                continue
            if _changes_by_the_hour(model):
                by_hand.append((provider.id, model.id))
            else:
                prices += _prices_of(provider.id, model)
    return prices, by_hand


def read_snapshots() -> Iterator[tuple[str, str, str]]:
    """(provider, dated name, model) of the text model snapshots that the package lists by name."""
    from genai_prices.data import providers
    from genai_prices.types import ClauseEquals, ClauseOr

    for provider in providers:
        for model in provider.models if provider.id in PROVIDERS else []:
            clauses = model.match.or_ if isinstance(model.match, ClauseOr) else [model.match]
            names = [clause.equals for clause in clauses if isinstance(clause, ClauseEquals)]
            if _is_text(model):
                yield from ((provider.id, name, model.id) for name in names if family_of(name) == model.id)


def _conditions(model: "ModelInfo") -> "list[ConditionalPrice]":
    from genai_prices.types import ConditionalPrice

    return model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]


def _is_text(model: "ModelInfo") -> bool:
    priced = {key for each in _conditions(model) for key, value in vars(each.prices).items() if value is not None}
    is_whole_name = not (model.id.startswith("ft:") or model.id.endswith("-"))
    sees_or_hears = any(word in name for name in (model.id, *priced) for word in OTHER_THAN_TEXT)
    return is_whole_name and {"input_mtok", "output_mtok"} <= priced and not sees_or_hears


def _changes_by_the_hour(model: "ModelInfo") -> bool:
    from genai_prices.types import TimeOfDateConstraint

    return any(isinstance(each.constraint, TimeOfDateConstraint) for each in _conditions(model))


def _prices_of(provider: str, model: "ModelInfo") -> Iterator[SourcePrice]:
    for tier, context in CONTEXTS.items():
        last = None
        for begin in _beginnings(model, context):
            terms = _terms(provider, model.id, tier, model.get_prices(begin, context))
            if last is None or not terms.costs_as(last):
                yield SourcePrice(terms, begin)
            last = terms


def _beginnings(model: "ModelInfo", context: dict[str, str] | None) -> list[datetime]:
    """When a tier's price may change: never before the tier is offered."""
    dates = {_start(each.constraint) for each in _conditions(model)}
    if context is None:
        return sorted(dates)
    offered = [_start(variant.constraint) for variant in model.price_variants or [] if variant.when == context]
    return sorted({*offered, *(day for day in dates if day > min(offered))}) if offered else []


def _start(constraint: Any) -> datetime:
    day: date | None = getattr(constraint, "start_date", None)
    return datetime.combine(day, time(), UTC) if day else EFFECTIVE_FROM


def _terms(provider: str, model: str, tier: str, prices: "ModelPrice") -> PriceTerms:
    """A token class without a price costs as much as input, and one without a step the same at every length."""
    lengths = sorted({step.start for name in (*AMOUNTS, OPTIONAL_AMOUNT) for step in _steps(prices, name)})
    long_prompts = [{"above": length, **_amounts(prices, length)} for length in lengths]
    columns = _amounts(prices, 0)
    return PriceTerms(
        provider=provider, model=model, tier=tier, source=source_name(), long_prompts=long_prompts, **columns
    )


def _amounts(prices: "ModelPrice", above: int) -> dict[str, Any]:
    """Nano-dollars of each class in a prompt longer than `above` tokens; no 1-hour price if the rule gives it."""
    amounts: dict[str, Any] = {name: _amount(prices, name, above) for name in AMOUNTS}
    hour = None
    if getattr(prices, f"{OPTIONAL_AMOUNT}_mtok") is not None:
        hour = _amount(prices, OPTIONAL_AMOUNT, above)
    follows_rule = hour == max(HOUR_CACHE_FACTOR * amounts["input"], amounts["cache_write"])
    return amounts | {OPTIONAL_AMOUNT: None if follows_rule else hour}


def _amount(prices: "ModelPrice", name: str, above: int) -> int:
    price = _price(prices, name)
    reached = [step.price for step in _steps(prices, name) if step.start <= above]
    return nano_of(reached[-1] if reached else getattr(price, "base", price))


def _steps(prices: "ModelPrice", name: str) -> list[Any]:
    return sorted(getattr(_price(prices, name), "tiers", []), key=lambda step: step.start)


def _price(prices: "ModelPrice", name: str) -> Any:
    own = getattr(prices, f"{name}_mtok")
    return prices.input_mtok if own is None else own

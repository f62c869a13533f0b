"""Prices for recommendations: every price that applies in some hour of the current week."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from django.db.models import BigIntegerField, Case, ExpressionWrapper, F, Q, Value, When
from django.db.models.expressions import Combinable
from django.db.models.lookups import GreaterThan
from django.utils import timezone

from cost_app.models import ModelPrice, PriceTier
from cost_app.prices.aliases import targets_of
from cost_app.prices.pricing import TOKENS_PER_PRICE, UnitPrices, unit_prices

Model = tuple[str, str]
"""(provider, model)"""
Whole: TypeAlias = "ExpressionWrapper[Any]"
"""SQL for a 64-bit integer."""


@dataclass(frozen=True)
class WeeklyPrices:
    """The current versions of one model and tier, one for each window of the week."""

    rows: tuple[ModelPrice, ...]

    @property
    def most_expensive(self) -> ModelPrice:
        """The version with the highest price."""
        return max(self.rows, key=weight_of)

    @property
    def cheapest(self) -> ModelPrice:
        """The version with the lowest price."""
        return min(self.rows, key=weight_of)

    @property
    def has_off_peak(self) -> bool:
        """Whether some hours are cheaper than others."""
        return weight_of(self.cheapest) < weight_of(self.most_expensive)


def weight_of(price: ModelPrice) -> int:
    """Orders prices, in nano-dollars per four million tokens: three input tokens per output token, as in chats."""
    return 3 * price.input + price.output


def weekly_prices(
    models: Iterable[Model] | None = None, tier: PriceTier = PriceTier.STANDARD, now: datetime | None = None
) -> dict[Model, WeeklyPrices]:
    """The current prices of some models, or of all; one query, and another one if some are aliases.

    Models without a price for output are not chat models.
    """
    now = now or timezone.now()
    if models is None:
        return _weekly(None, tier, now)
    asked = set(models)
    found = _weekly(asked, tier, now)
    targets = targets_of(asked - found.keys(), now)
    held = _weekly(set(targets.values()), tier, now) if targets else {}
    return found | {alias: held[target] for alias, target in targets.items() if target in held}


def _weekly(models: Iterable[Model] | None, tier: PriceTier, now: datetime) -> dict[Model, WeeklyPrices]:
    rows = ModelPrice.objects.filter(
        Q(effective_to=None) | Q(effective_to__gt=now), effective_from__lte=now, tier=tier, output__gt=0
    )
    if models is not None:
        rows = rows.filter(_any_of(models))
    newest: dict[Model, dict[str, ModelPrice]] = defaultdict(dict)
    for row in rows.order_by("effective_from"):
        newest[row.provider, row.model][row.window_name] = row
    return {model: WeeklyPrices(tuple(windows.values())) for model, windows in newest.items()}


def _any_of(models: Iterable[Model]) -> Q:
    condition = Q(pk__in=[])
    for provider, model in models:
        condition |= Q(provider=provider, model=model)
    return condition


def repriced(price: ModelPrice) -> Whole:
    """SQL for the cost of an attempt at a price, in nano-dollars: rounded up once, like `cost_of`."""
    prompt = F("input_tokens") + F("cache_read_tokens") + F("cache_write_tokens")
    steps = [
        When(GreaterThan(prompt, step["above"]), then=_total(unit_prices(price, step["above"] + 1)))
        for step in reversed(price.long_prompts)
    ]
    total: Combinable = _total(unit_prices(price, 0))
    if steps:
        total = Case(*steps, default=total, output_field=BigIntegerField())
    return _whole((total + Value(TOKENS_PER_PRICE - 1)) / Value(TOKENS_PER_PRICE))


def _total(unit: UnitPrices) -> Whole:
    written: Combinable = F("cache_write_tokens") - F("cache_write_1h_tokens")
    classes: tuple[Combinable, ...] = (
        F("input_tokens"),
        F("cache_read_tokens"),
        written,
        F("output_tokens"),
        F("cache_write_1h_tokens"),
    )
    parts = [_whole(tokens * Value(nano)) for tokens, nano in zip(classes, unit, strict=True)]
    return _whole(parts[0] + parts[1] + parts[2] + parts[3] + parts[4])


def _whole(expression: Combinable) -> Whole:
    return ExpressionWrapper(expression, BigIntegerField())

"""Calls of low priority that could have waited for a cheaper hour, or for the provider's batch queue."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from cost_app.models import Attempt, ModelPrice, PriceTier, RecommendationKind
from cost_app.recommendations.pricing import Model, repriced, weekly_prices
from cost_app.recommendations.rules import LOW_PRIORITY
from cost_app.recommendations.sample import Finding, Sample, figure


def peak_calls(sample: Sample) -> Iterator[Finding]:
    """For each model with cheaper hours: its calls of low priority outside them, at the price of the cheaper hours."""
    calls = _low(sample)
    prices = weekly_prices(_models(calls), now=sample.now)
    for model in sorted(model for model, weekly in prices.items() if weekly.has_off_peak):
        cheapest = prices[model].cheapest
        at_peak = Q(price__isnull=False) & ~Q(price__window_name=cheapest.window_name)
        found = _sums(calls, model, cheapest, at_peak)
        if found["bearing"] and found["cost"] > found["less"]:
            yield _off_peak(model, found)


def batch_calls(sample: Sample) -> Iterator[Finding]:
    """For each model with a batch price: its calls of low priority at that price."""
    calls = _low(sample)
    prices = weekly_prices(_models(calls), PriceTier.BATCH, now=sample.now)
    for model in sorted(prices):
        found = _sums(calls, model, prices[model].most_expensive, Q(price__isnull=False))
        if found["bearing"] and found["cost"] > found["less"]:
            yield _batch(model, found)


def _low(sample: Sample) -> QuerySet[Attempt]:
    return sample.calls.filter(priority__lte=LOW_PRIORITY)


def _models(calls: QuerySet[Attempt]) -> list[Model]:
    return list(calls.order_by().values_list("provider", "model").distinct())


def _sums(calls: QuerySet[Attempt], model: Model, price: ModelPrice, bearing: Q) -> dict[str, Any]:
    return calls.filter(provider=model[0], model=model[1]).aggregate(
        calls=Count("id"),
        bearing=Count("id", filter=bearing),
        cost=Sum("cost_nano", filter=bearing, default=0),
        less=Sum(repriced(price), filter=bearing, default=0),
    )


def _off_peak(model: Model, found: dict[str, Any]) -> Finding:
    name = "/".join(model)
    return Finding(
        kind=RecommendationKind.OFF_PEAK,
        subject=name,
        title=f"Run low-priority {name} requests in its cheaper hours",
        description=(
            f"{found['bearing']:,} of {found['calls']:,} requests of low priority to {name} were sent in hours when it "
            "costs more than at other times of the day."
        ),
        saving_nano=found["cost"] - found["less"],
        examined=found["calls"],
        bearing=found["bearing"],
        difficulty="easy",
        formula=(
            "What the requests of low priority cost that were sent at another price than the week's lowest, minus what "
            "each would have cost at the lowest price with its own token counts."
        ),
        steps=[
            "Make sure that no one waits for requests of low priority: they may be delayed by up to a day.",
            "Apply: they start when the cheaper hours begin. Other priorities are never delayed.",
            "After three days, see the realized savings here. You can undo it with one click.",
        ],
        figures=[
            figure("requests of low priority", found["calls"], "calls"),
            figure("requests in more expensive hours", found["bearing"], "calls"),
            figure("cost in more expensive hours", found["cost"], "nano"),
            figure("cost in the cheapest hours", found["less"], "nano"),
        ],
        rule_terms={"model": name},
    )


def _batch(model: Model, found: dict[str, Any]) -> Finding:
    name = "/".join(model)
    return Finding(
        kind=RecommendationKind.BATCH,
        subject=name,
        title=f"Send low-priority requests to {name} in batches",
        description=(
            f"{found['bearing']:,} requests of low priority went to {name} one by one. {model[0]} charges less for "
            "batches, which it answers within a day."
        ),
        saving_nano=found["cost"] - found["less"],
        examined=found["calls"],
        bearing=found["bearing"],
        difficulty="hard",
        formula=(
            "What the requests of low priority cost, minus what each would have cost at the provider's batch price "
            "with its own token counts."
        ),
        steps=[
            "Select work that can wait for a day: reports, tagging, evaluations.",
            f"Send it through the batch API of {model[0]}; aiinfra calls models one request at a time.",
            "Report its usage with the track operation, so that budgets and figures stay complete.",
        ],
        figures=[
            figure("requests of low priority", found["bearing"], "calls"),
            figure("cost of low-priority requests", found["cost"], "nano"),
            figure("cost in batches", found["less"], "nano"),
        ],
    )

"""A cheaper model for the simple share of a model's traffic."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Count, Q, Sum

from cost_app.models import RecommendationKind, RequestClass
from cost_app.recommendations.candidates import candidates
from cost_app.recommendations.pricing import Model, WeeklyPrices, repriced, weight_of
from cost_app.recommendations.sample import Finding, Sample, figure

CANDIDATES_MAX = 20
"""The cheapest candidates: each is a column of one query."""
SHOWN = 5
FORMULA = (
    "What the simple requests of this model cost, minus what they would have cost at the other model's price: each "
    "with its own token counts, at the highest hourly price of that model's week, rounded up as in the ledger. Assumes "
    "that the other model needs as many tokens."
)


def cheaper_models(sample: Sample) -> Iterator[Finding]:
    """For each model the candidate that saves most on its simple requests."""
    allowed = candidates(sample.organization_id, RequestClass.SIMPLE)
    names = sorted(allowed, key=lambda model: (weight_of(allowed[model].most_expensive), model))[:CANDIDATES_MAX]
    for row in _repriced_rows(sample, [allowed[name] for name in names]):
        own = (row["provider"], row["model"])
        options = sorted((row[f"at_{number}"], name) for number, name in enumerate(names) if name != own)
        if row["simple"] and options and options[0][0] < row["cost"]:
            yield _finding(row, own, options)


def _repriced_rows(sample: Sample, prices: list[WeeklyPrices]) -> Any:
    """One row per model: its calls, the simple ones, what these cost, and what they would cost at each candidate."""
    simple = Q(request_class=RequestClass.SIMPLE)
    sums = {f"at_{number}": Sum(repriced(each.most_expensive), filter=simple) for number, each in enumerate(prices)}
    totals = {
        "calls": Count("id"),
        "simple": Count("id", filter=simple),
        "cost": Sum("cost_nano", filter=simple),
        "all_cost": Sum("cost_nano"),
    }
    return sample.calls.values("provider", "model").order_by("provider", "model").annotate(**totals, **sums)


def _finding(row: dict[str, Any], own: Model, options: list[tuple[int, Model]]) -> Finding:
    name, other = "/".join(own), "/".join(options[0][1])
    share = round(100 * row["simple"] / row["calls"])
    return Finding(
        kind=RecommendationKind.CHEAPER_MODEL,
        subject=name,
        title=f"Route simple {name} requests to {other}",
        description=(
            f"{row['simple']:,} of {row['calls']:,} requests ({share}%) that {name} answered were simple: short, "
            f"without code, reasoning, or creative work. {other} answers such requests for less."
        ),
        saving_nano=row["cost"] - options[0][0],
        examined=row["simple"],
        bearing=row["simple"],
        difficulty="easy",
        formula=FORMULA,
        steps=[
            f"Compare a few answers of {other} with those of {name}: these figures are about cost, not about quality.",
            f"Apply: simple requests to {name} go to {other}. Clients that name the class complex or "
            "creative keep their model.",
            "After three days, see the realized savings here. You can undo it with one click.",
        ],
        figures=[
            figure("requests", row["calls"], "calls"),
            figure("simple requests", row["simple"], "calls"),
            figure("cost of all requests", row["all_cost"], "nano"),
            figure("cost of simple requests", row["cost"], "nano"),
            *[figure(f"their cost at {'/'.join(model)}", cost, "nano") for cost, model in options[:SHOWN]],
        ],
        rule_terms={"model": name, "to": other},
    )

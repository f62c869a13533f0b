"""Long prompt prefixes that a provider read repeatedly at the full price."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import BigIntegerField, Count, ExpressionWrapper, F, Q, QuerySet, Sum, Value, Window
from django.db.models.functions import Greatest, Lag, Least

from cost_app.models import Attempt, RecommendationKind
from cost_app.prices.pricing import TOKENS_PER_PRICE
from cost_app.recommendations.pricing import Model, Whole
from cost_app.recommendations.sample import Finding, Sample, figure

BYTES_PER_TOKEN = 4
SHORTEST_TOKENS = 1_024
"""The minimum that OpenAI and Anthropic cache."""
KEPT_FOR = timedelta(minutes=5)
"""How long they cache it by default."""

STEPS = {
    "anthropic": "Mark the end of the constant prefix with cache_control: a write costs more, a read far less.",
    "openai": "Caching is automatic for prefixes of 1,024 tokens or more: put constant text first, dates and names "
    "last.",
    "deepseek": "Caching is automatic: put constant text first, byte for byte the same, and variable text last.",
}


def uncached_prefixes(sample: Sample) -> Iterator[Finding]:
    """For each model: what reading the same prefix from the provider's cache would have saved."""
    calls = _calls(sample)
    models = list(calls.order_by("provider", "model").values_list("provider", "model").distinct())
    rows = _sums(calls, models)
    for number, model in enumerate(models):
        found = {name: rows[f"{name}_{number}"] for name in ("calls", "reads", "tokens", "saved", "writes", "premium")}
        saving = found["saved"] - found["premium"]
        if found["reads"] and saving > 0:
            yield _finding(model, found, saving)


def _calls(sample: Sample) -> QuerySet[Attempt]:
    return sample.calls.exclude(prefix_digest="").filter(
        prefix_bytes__gte=SHORTEST_TOKENS * BYTES_PER_TOKEN, price__isnull=False
    )


def _sums(calls: QuerySet[Attempt], models: list[Model]) -> dict[str, Any]:
    """A call within 5 minutes after one with the same prefix counts as a read; any other call with a repeated prefix as
    a write.

    Excludes what was already read from or written to a cache. One query for all models.
    """
    windows = {
        "before": Window(Lag("created_at"), partition_by=["prefix_digest"], order_by=["created_at", "id"]),
        "times": Window(Count("id"), partition_by=["prefix_digest"]),
        "prefix": _prefix_tokens(),
    }
    uncached = Q(cache_read_tokens=0, times__gt=1)
    is_read = uncached & Q(created_at__lte=F("before") + KEPT_FOR)
    is_write = uncached & Q(cache_write_tokens=0) & (Q(before=None) | Q(created_at__gt=F("before") + KEPT_FOR))
    saved = _nano(F("price__input") - F("price__cache_read"))
    premium = _nano(F("price__cache_write") - F("price__input"))
    sums: dict[str, Any] = {}
    for number, (provider, model) in enumerate(models):
        own = Q(provider=provider, model=model)
        sums |= {
            f"calls_{number}": Count("id", filter=own),
            f"reads_{number}": Count("id", filter=own & is_read),
            f"tokens_{number}": Sum("prefix", filter=own & is_read, default=0),
            f"saved_{number}": Sum(saved, filter=own & is_read, default=0),
            f"writes_{number}": Count("id", filter=own & is_write),
            f"premium_{number}": Sum(premium, filter=own & is_write, default=0),
        }
    return calls.annotate(**windows).aggregate(**sums) if models else {}


def _prefix_tokens() -> Whole:
    """A quarter of its bytes, but not more than the call's own count of the whole prompt."""
    quarter = ExpressionWrapper(F("prefix_bytes") / Value(BYTES_PER_TOKEN), BigIntegerField())
    return ExpressionWrapper(Least(quarter, F("input_tokens")), BigIntegerField())


def _nano(per_million: Any) -> Whole:
    """The prefix at a price difference, rounded down; a negative difference adds nothing."""
    difference = Greatest(ExpressionWrapper(per_million, BigIntegerField()), Value(0, BigIntegerField()))
    total = ExpressionWrapper(F("prefix") * difference, BigIntegerField())
    return ExpressionWrapper(total / Value(TOKENS_PER_PRICE), BigIntegerField())


def _finding(model: Model, found: dict[str, Any], saving: int) -> Finding:
    name = "/".join(model)
    return Finding(
        kind=RecommendationKind.PROMPT_CACHING,
        subject=name,
        title=f"Use prompt caching for {'/'.join(model)}",
        description=(
            f"{found['reads']:,} calls to {name} began with at least 1,024 tokens that another call had sent within "
            "the 5 minutes before, and paid the full price for them."
        ),
        saving_nano=saving,
        examined=found["calls"],
        bearing=found["reads"],
        difficulty="medium",
        formula=(
            "For each such call, the tokens of its prefix (a quarter of its bytes, all turns but the last) at the "
            "input price minus the cache read price; minus, for each call that would have filled the cache, the same "
            "tokens at the cache write price minus the input price."
        ),
        steps=[
            STEPS.get(model[0], "Check how the provider caches prompts, and put constant text first."),
            "Send calls that share a prefix within 5 minutes of each other.",
            "Watch the cache read tokens on the costs page: they should rise within the day.",
        ],
        figures=[
            figure("calls with a long prefix", found["calls"], "calls"),
            figure("calls within 5 minutes after the same prefix", found["reads"], "calls"),
            figure("tokens that could be read from the cache", found["tokens"], "tokens"),
            figure("saving from reads", found["saved"], "nano"),
            figure("calls that would fill the cache", found["writes"], "calls"),
            figure("extra cost of filling it", found["premium"], "nano"),
        ],
    )

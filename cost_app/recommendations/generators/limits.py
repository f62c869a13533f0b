"""Limits that are higher than the traffic needs: of answers, and of retries."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Avg, BigIntegerField, Count, ExpressionWrapper, F, Max, Q, Sum, Value
from django.db.models.functions import Greatest

from cost_app.models import AttemptState, RecommendationKind
from cost_app.prices.pricing import TOKENS_PER_PRICE
from cost_app.recommendations.pricing import weekly_prices
from cost_app.recommendations.sample import CALLS_MIN, Finding, Sample, figure

ROUNDED_TO = 64
SMALLEST_LIMIT = 256
HEADROOM = 2
"""The recommended limit is twice what 99 of 100 answers need."""
FAR_BELOW = 2
"""And is recommended only if the limits sent average at least twice as high."""
HOPELESS_PERCENT = 5
"""Retries with a lower success rate are waste."""
RETRIES_MAX = 10


def loose_limits(sample: Sample) -> Iterator[Finding]:
    """For each model whose answers are far shorter than their limits: a lower limit. Frees budgets, saves no money."""
    calls = sample.calls.filter(max_tokens__gt=0)
    models = calls.order_by("provider", "model").values("provider", "model")
    for row in models.annotate(calls=Count("id"), mean=Avg("max_tokens"), longest=Max("output_tokens")):
        if row["calls"] >= CALLS_MIN:
            yield from _loose_limit(sample, dict(row))


def _loose_limit(sample: Sample, row: dict[str, Any]) -> Iterator[Finding]:
    own = sample.calls.filter(max_tokens__gt=0, provider=row["provider"], model=row["model"])
    # The nearest-rank percentile: a value that occurred, found by the database.
    p99 = own.order_by("output_tokens").values_list("output_tokens", flat=True)[-(-row["calls"] * 99 // 100) - 1]
    limit = max(SMALLEST_LIMIT, -(-p99 * HEADROOM // ROUNDED_TO) * ROUNDED_TO)
    prices = weekly_prices([(row["provider"], row["model"])], now=sample.now).get((row["provider"], row["model"]))
    if prices is None or row["mean"] < limit * FAR_BELOW:
        return
    above = ExpressionWrapper(F("max_tokens") - Value(limit), BigIntegerField())
    found = own.aggregate(
        loose=Count("id", filter=Q(max_tokens__gt=limit)),
        cut=Count("id", filter=Q(output_tokens__gt=limit)),
        tokens=Sum(Greatest(above, Value(0, BigIntegerField())), default=0),
    )
    freed = found["tokens"] * prices.most_expensive.output // TOKENS_PER_PRICE // row["calls"]
    yield _trim({**row, **found, "p99": p99, "limit": limit, "freed": freed})


def _trim(found: dict[str, Any]) -> Finding:
    name = f"{found['provider']}/{found['model']}"
    return Finding(
        kind=RecommendationKind.TRIM_MAX_TOKENS,
        subject=name,
        title=f"Limit answers of {name} to {found['limit']:,} tokens",
        description=(
            f"99 of 100 answers had at most {found['p99']:,} tokens, but {found['mean']:,.0f} were allowed on "
            "average. Each call reserves money for its longest possible answer, so a lower limit lets more calls into "
            "the same budget. There is no direct saving, because you pay only for tokens received."
        ),
        saving_nano=None,
        examined=found["calls"],
        bearing=found["loose"],
        difficulty="easy",
        formula=(
            "The limit is twice the 99th percentile of the answers' tokens, rounded up to a multiple of 64 and at "
            "least 256. Budget freed: each call's tokens above that limit at the model's highest output price, "
            "averaged over all calls. The saving is 0."
        ),
        steps=[
            f"Check the longest answer, {found['longest']:,} tokens: {found['cut']:,} answers of the sample would "
            "have been cut off.",
            "Apply: the limit is sent if a client sets none or a higher one.",
            "If answers are cut off, undo it with one click.",
        ],
        figures=[
            figure("calls with a limit", found["calls"], "calls"),
            figure("limit on average", round(found["mean"]), "tokens"),
            figure("99 of 100 answers had at most", found["p99"], "tokens"),
            figure("longest answer", found["longest"], "tokens"),
            figure("answers that the new limit would have cut off", found["cut"], "calls"),
            figure("average budget freed while a call runs", found["freed"], "nano"),
        ],
        rule_terms={"model": name, "maxTokens": found["limit"]},
    )


def wasted_retries(sample: Sample) -> Iterator[Finding]:
    """The lowest number of retries beyond which fewer than 5% are answered, while they cost money."""
    rows = _by_number(sample)
    for retries in range(RETRIES_MAX):
        tail = {name: sum(row[name] for row in rows if row["number"] > retries + 1) for name in COUNTED}
        if tail["tried"] < CALLS_MIN:
            return
        if tail["answered"] * 100 < tail["tried"] * HOPELESS_PERCENT:
            stopped = sum(row["failed"] for row in rows if row["number"] == retries + 1)
            yield _fewer_retries(retries, tail, stopped)
            return


COUNTED = ("tried", "answered", "failed", "cost")


def _by_number(sample: Sample) -> list[dict[str, Any]]:
    """For each attempt number: how many were sent, answered, failed, and what the failed ones cost."""
    ended = sample.attempts.filter(dispatched_at__isnull=False).exclude(state=AttemptState.DISPATCHED)
    answered = Q(state=AttemptState.SETTLED, error_code="")
    sums = {
        "tried": Count("id"),
        "answered": Count("id", filter=answered),
        "failed": Count("id", filter=~answered),
        "cost": Sum("cost_nano", filter=~answered, default=0),
    }
    return [dict(row) for row in ended.order_by("number").values("number").annotate(**sums)]


def _fewer_retries(retries: int, tail: dict[str, int], stopped: int) -> Finding:
    return Finding(
        kind=RecommendationKind.RETRY_WASTE,
        subject="all",
        title=f"Stop after {retries} {'retry' if retries == 1 else 'retries'}",
        description=(
            f"{tail['tried']:,} attempts were made after the first {retries + 1}; {tail['answered']:,} of them were "
            "answered. The others failed too, and some of them were billed."
        ),
        saving_nano=tail["cost"],
        examined=tail["tried"],
        bearing=tail["failed"],
        difficulty="easy",
        formula=(
            "The booked cost of the attempts beyond that number that failed or whose outcome is unknown. Answered "
            "attempts do not count as saved, because their requests would have failed without them."
        ),
        steps=[
            "Check which provider the attempts fail at. If it is a rate limit, raise the limit instead of retrying "
            "more.",
            "Apply: no request is retried more often than that.",
            "If too many requests fail, undo it with one click.",
        ],
        figures=[
            figure("attempts beyond the limit", tail["tried"], "calls"),
            figure("of those, answered", tail["answered"], "calls"),
            figure("of those, failed", tail["failed"], "calls"),
            figure("cost of failed attempts", tail["cost"], "nano"),
            figure("requests that would have ended there", stopped, "calls"),
            figure("average saving per such request", tail["cost"] // stopped if stopped else 0, "nano"),
        ],
        rule_terms={"maxRetries": retries, "savedPerRequest": tail["cost"] // stopped if stopped else 0},
    )

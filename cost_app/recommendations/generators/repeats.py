"""Repeated calls that the cache could have answered."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db.models import Count, F, Q, Sum, Window
from django.db.models.functions import Lag

from cost_app.models import Dimension, RecommendationKind, UsageDay
from cost_app.recommendations.sample import Finding, Sample, figure

KEPT_FOR = timedelta(hours=24)
"""How long the cache keeps an answer by default."""
COULD_BE_KEPT_FOR = timedelta(days=7)


def missed_repeats(sample: Sample) -> Iterator[Finding]:
    """Exact repeats within a day, which the cache should have answered, and within a week, which it could."""
    found = _repeats(sample)
    hits = _cache_hits(sample)
    if found["day"]:
        yield _within_a_day(found, hits)
    if found["week"]:
        yield _within_a_week(found, hits)


def _repeats(sample: Sample) -> dict[str, Any]:
    """Compared with the previous call of the same digest, from when that was answered; one query."""
    asked = sample.calls.exclude(prompt_digest="")
    before = Window(Lag("finished_at"), partition_by=["prompt_digest"], order_by=["created_at", "id"])
    day = Q(created_at__gte=F("before"), created_at__lte=F("before") + KEPT_FOR)
    week = Q(created_at__gt=F("before") + KEPT_FOR, created_at__lte=F("before") + COULD_BE_KEPT_FOR)
    return asked.annotate(before=before).aggregate(
        calls=Count("id"),
        prompts=Count("prompt_digest", distinct=True),
        cost=Sum("cost_nano"),
        day=Count("id", filter=day),
        day_cost=Sum("cost_nano", filter=day, default=0),
        week=Count("id", filter=week),
        week_cost=Sum("cost_nano", filter=week, default=0),
    )


def _cache_hits(sample: Sample) -> int:
    days = UsageDay.objects.filter(
        organization_id=sample.organization_id, dimension=Dimension.TOTAL, day__gte=sample.since.date()
    )
    return int(days.aggregate(hits=Sum("cache_hits", default=0))["hits"])


def _figures(found: dict[str, Any], hits: int) -> list[dict[str, Any]]:
    return [
        figure("calls examined", found["calls"], "calls"),
        figure("different prompts", found["prompts"], "prompts"),
        figure("answered by the cache", hits, "calls"),
        figure("exact repeats within 24 hours that were missed", found["day"], "calls"),
        figure("cost of repeats within 24 hours", found["day_cost"], "nano"),
        figure("exact repeats after 24 hours and within 7 days", found["week"], "calls"),
        figure("cost of repeats within 7 days", found["week_cost"], "nano"),
    ]


def _within_a_day(found: dict[str, Any], hits: int) -> Finding:
    return Finding(
        kind=RecommendationKind.CACHE_REPEATS,
        subject="all",
        title="Answer repeated prompts from the cache",
        description=(
            f"{found['day']:,} of {found['calls']:,} calls repeated word for word a prompt that was answered within "
            "the previous 24 hours. The cache answers such calls for free."
        ),
        saving_nano=found["day_cost"],
        examined=found["calls"],
        bearing=found["day"],
        difficulty="easy",
        formula=(
            "The total cost of calls whose provider, model, and messages equal those of a call answered at most 24 "
            "hours earlier. Includes calls that deliberately bypass the cache, because an attempt does not record that."
        ),
        steps=[
            "Check whether these clients send cache: bypass or refresh, and why.",
            "Send chats to /api/ai/chat or /v1/chat/completions, which check the cache first; /api/ai/queue "
            "always calls the model.",
            "If temperature or tools differ from call to call, make them constant: the cache only serves calls "
            "with the same settings.",
        ],
        figures=_figures(found, hits),
    )


def _within_a_week(found: dict[str, Any], hits: int) -> Finding:
    return Finding(
        kind=RecommendationKind.CACHE_TUNING,
        subject="ttl",
        title="Keep cached answers for 7 days",
        description=(
            f"{found['week']:,} of {found['calls']:,} calls repeated a prompt that was answered one to seven days "
            "earlier, after the cached answer had expired."
        ),
        saving_nano=found["week_cost"],
        examined=found["calls"],
        bearing=found["week"],
        difficulty="easy",
        formula=(
            "The total cost of calls whose provider, model, and messages equal those of the most recent earlier call, "
            "which was answered more than 24 hours and at most 7 days earlier."
        ),
        steps=[
            "Consider which answers become outdated within a week: prices, news, anything with a date.",
            "Set the cache's time to live to 7 days, or only for tags whose answers stay valid.",
            "Monitor the reports of wrong hits for a week.",
        ],
        figures=_figures(found, hits),
    )

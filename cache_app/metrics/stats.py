"""The cache's figures: how often it answers, how often it is wrong, and what it saves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count, Q
from django.utils import timezone
from redis.exceptions import RedisError

from aiinfra.tenants.models import Organization
from cache_app.embedding.registry import configured_embedder
from cache_app.embedding.vector_cache import EmbedderState, embedder_state
from cache_app.learning.interval import bounds
from cache_app.metrics import counts
from cache_app.metrics.counts import histogram, sum_of
from cache_app.models import CacheHit, JudgedBy, Judgement, Layer
from cache_app.store import browse

DAYS = 30
NO_GUARDS = ("none", "threshold", "unsuited", "off")
"""What follows "miss:" and is not a guard's objection."""
SAMPLED = Q(layer=Layer.SEMANTIC) & (Q(shadow=True) | Q(reasked_at__isnull=False))
WRONG, RIGHT, DOUBTFUL = (Q(judgement=each) for each in (Judgement.WRONG, Judgement.RIGHT, Judgement.DOUBTFUL))


@dataclass(frozen=True)
class WrongShare:
    """How often semantic answers are wrong, based on sampled re-checks and shadow mode.

    Shares from 0 to 1. `share` is None if nothing is judged; `low` and `high` contain the true share in 90 of 100
    cases, with doubtful hits taken as right for one and as wrong for the other. Reports by people are not included,
    because no one reports a right answer.
    """

    right: int
    wrong: int
    doubtful: int
    share: float | None
    low: float
    high: float


@dataclass(frozen=True)
class CacheStats:
    """The last days of the organization's calendar, including today; money in nano-dollars.

    `hit_rate` and `repeats_served` are percents, None if there was nothing to serve. `repeats_served` is the share of
    repeats that were answered: of the lookups whose best candidate was at least as similar as the embedder's `edge`
    (and of exact matches, or an identical call in progress). Misses are all lookups without a hit, including
    those while the cache was unavailable. `vetoes` are refusals by guard; `near_misses` lacked only similarity.
    `saved_nano` comes from the ledger's rows of cache hits, as far as hits are counted (a delay of seconds). Entries
    and memory are current, None while Redis is down.
    """

    days: int
    since: datetime
    total_entries: int | None
    memory_bytes: int | None
    looks: int
    hits: int
    misses: int
    hit_rate: float | None
    by_kind: Mapping[str, int]
    shadow_hits: int
    average_similarity: float | None
    repeats_served: float | None
    vetoes: Mapping[str, int]
    near_misses: int
    false_hit_reports: int
    wrong_share: WrongShare
    saved_nano: int
    saved_ms: int
    embedder: EmbedderState
    redis_available: bool


def cache_stats(organization_id: int, days: int = DAYS) -> CacheStats:
    """The figures of an organization, in its scope: always three queries."""
    since = _since(organization_id, days)
    found = counts.totals(organization_id, since)
    entries, memory = _in_redis(organization_id)
    by_kind = {str(layer): found.get(f"hit:{layer}", 0) for layer in Layer}
    hits = sum(by_kind.values())
    # Two sources: lookups may have been lost with Redis, hits are rows.
    looks = max(found.get(counts.LOOKUP, 0), hits)
    reports, wrong_share = _judged(organization_id, since)
    semantic = by_kind[Layer.SEMANTIC] * counts.SIMILARITY_UNIT
    return CacheStats(
        days=days,
        since=since,
        total_entries=entries,
        memory_bytes=memory,
        looks=looks,
        hits=hits,
        misses=looks - hits,
        hit_rate=_percent(hits, looks),
        by_kind=by_kind,
        shadow_hits=sum_of(found, "shadow:"),
        average_similarity=found.get(counts.SIMILARITY_SUM, 0) / semantic if semantic else None,
        repeats_served=_repeats_served(found),
        vetoes=_vetoes(found),
        near_misses=found.get("miss:threshold", 0),
        false_hit_reports=reports,
        wrong_share=wrong_share,
        saved_nano=found.get(counts.SAVED_NANO, 0),
        saved_ms=found.get(counts.SAVED_MS, 0),
        embedder=embedder_state(),
        redis_available=entries is not None,
    )


def _since(organization_id: int, days: int) -> datetime:
    zone = Organization.objects.values_list("time_zone", flat=True).get(id=organization_id)
    return counts.begin_of_day(timezone.now() - timedelta(days=days - 1), ZoneInfo(zone))


def _in_redis(organization_id: int) -> tuple[int, int] | tuple[None, None]:
    try:
        return browse.count(organization_id), browse.memory_bytes(organization_id)
    except RedisError:
        return None, None


def _repeats_served(found: Mapping[str, int]) -> float | None:
    edge = round(configured_embedder().scale.edge * 100)
    served, refused, below = (
        sum(number for percent, number in histogram(found, fate).items() if percent >= edge)
        for fate in ("served", "refused", "below")
    )
    equal = found.get(f"hit:{Layer.EXACT}", 0) + found.get(f"hit:{Layer.FLIGHT}", 0)
    return _percent(equal + served, equal + served + refused + below)


def _vetoes(found: Mapping[str, int]) -> dict[str, int]:
    refusals = {name.removeprefix("miss:"): number for name, number in found.items() if name.startswith("miss:")}
    return {guard: number for guard, number in refusals.items() if guard.partition(":")[0] not in NO_GUARDS}


def _judged(organization_id: int, since: datetime) -> tuple[int, WrongShare]:
    """Reported wrong, and the share of wrong ones in the sample; one query."""
    judged = CacheHit.objects.filter(organization_id=organization_id, judgement__in=list(Judgement), at__gte=since)
    found = judged.aggregate(
        reports=Count("id", filter=WRONG & Q(judged_by=JudgedBy.REPORT, shadow=False)),
        right=Count("id", filter=SAMPLED & RIGHT),
        wrong=Count("id", filter=SAMPLED & WRONG),
        doubtful=Count("id", filter=SAMPLED & DOUBTFUL),
    )
    right, wrong, doubtful = found["right"], found["wrong"], found["doubtful"]
    low, high = bounds(wrong, wrong + doubtful, right + wrong + doubtful)
    share = wrong / (right + wrong) if right + wrong else None
    return found["reports"], WrongShare(right, wrong, doubtful, share, low, high)


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None

"""Counting what the cache does, by hour and by day of the organization's calendar.

| name | what is counted |
|---|---|
| look | lookups |
| hit:exact, hit:semantic, hit:flight | answers served, by layer |
| shadow:exact, shadow:semantic | what would have been served in shadow mode |
| miss:none | nothing similar is there |
| miss:threshold | near misses: only the similarity was too low |
| miss:blocked | the pair was judged wrong before |
| miss:<guard> | the guard objected: numbers, dates, codes, negation, antonyms, entities, order, strict, addition |
| miss:unsuited:<why> | never compared by meaning: turn, temperature, parameters, tools, long, short, language |
| error:redis, error:embedder | what was out of order |
| similarity:<NN>:<fate> | cosine of the best candidate in whole percent, and its fate: served, refused or below |
| saved_nano, saved_ms | sums over the hits served: nano-dollars as in the ledger, and the provider's time |
| similarity_sum | sum over the semantic hits served: cosine x 10,000 |
| age_s | sum over the hits served: seconds since their entries were stored |
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

from django.db.models import QuerySet, Sum
from django.utils import timezone
from redis.exceptions import RedisError

from aiinfra.redis import redis_client
from cache_app.models import CacheCount, CountSpan

logger = logging.getLogger(__name__)

HOUR_S = 3600
LOOKUP = "look"
SAVED_NANO, SAVED_MS, SIMILARITY_SUM, AGE_S = "saved_nano", "saved_ms", "similarity_sum", "age_s"
SIMILARITY_UNIT = 10_000
KEPT = {CountSpan.HOUR: timedelta(days=8), CountSpan.DAY: timedelta(days=400)}
NAME_LENGTH = 64
REGISTERED = "sc:counting"
"""The organizations with counts in Redis."""
FOLDED = "folded"
"""The one row that is not a count: the last folded batch; see `cache_app.metrics.folding`."""


def similarity_name(similarity: float, fate: str) -> str:
    """The histogram's name for a best candidate. `fate` is served, refused or below.

    Rounded down, so that whole-percent thresholds fall between bars; the last digits of a float do not matter.
    """
    return f"similarity:{min(100, int(similarity * 100 + 1e-6)):02d}:{fate}"


def counts_key(organization_id: int) -> str:
    """The Redis hash of counts that are not folded yet: "<hour, seconds since 1970>:<name>" -> count."""
    return f"sc:{{{organization_id}}}:counts"


def record(organization_id: int, names: Iterable[str] | Mapping[str, int]) -> None:
    """Count, in one Redis call. Never raises: while Redis is down nothing is counted."""
    hour = int(time.time()) // HOUR_S * HOUR_S
    try:
        pipeline = redis_client().pipeline(transaction=False)
        for name, count in Counter(names).items():
            pipeline.hincrby(counts_key(organization_id), f"{hour}:{name[:NAME_LENGTH]}", count)
        # Last, because folding takes an organization off the list before its final check.
        pipeline.sadd(REGISTERED, organization_id)
        pipeline.execute()
    except RedisError:
        logger.debug("not counted: Redis is not responding", exc_info=True)


def totals(organization_id: int, since: datetime | None, span: CountSpan = CountSpan.DAY) -> dict[str, int]:
    """Totals by name over the spans that begin at `since` or later (None: all)."""
    rows = _rows(organization_id, span)
    if since:
        rows = rows.filter(starts_at__gte=since)
    return dict(rows.values("name").annotate(sum=Sum("count")).values_list("name", "sum"))


def series(
    organization_id: int, names: Iterable[str], span: CountSpan, since: datetime
) -> dict[datetime, dict[str, int]]:
    """By start of the span (UTC) and name. Spans and names without a count are missing."""
    rows = _rows(organization_id, span).filter(name__in=list(names), starts_at__gte=since)
    found: dict[datetime, dict[str, int]] = defaultdict(dict)
    for starts_at, name, count in rows.order_by("starts_at").values_list("starts_at", "name", "count"):
        found[starts_at][name] = count
    return dict(found)


def histogram(found: Mapping[str, int], fate: str) -> dict[int, int]:
    """From the result of `totals`: best candidates with that fate, by whole percent of cosine."""
    names = {percent: similarity_name(percent / 100, fate) for percent in range(101)}
    return {percent: found[name] for percent, name in names.items() if name in found}


def sum_of(found: Mapping[str, int], prefix: str) -> int:
    """From the result of `totals`: the sum of all names with this prefix."""
    return sum(count for name, count in found.items() if name.startswith(prefix))


def begin_of_day(instant: datetime, zone: ZoneInfo) -> datetime:
    """The instant (UTC) at which the organization's day that contains `instant` began."""
    return datetime.combine(instant.astimezone(zone).date(), clock(), zone).astimezone(UTC)


def delete_old_counts() -> None:
    """Delete old counts in the organizations in scope: hours after 8 days, days after 400."""
    now = timezone.now()
    for span, kept in KEPT.items():
        CacheCount.objects.filter(span=span, starts_at__lt=now - kept).exclude(name=FOLDED).delete()


def _rows(organization_id: int, span: CountSpan) -> QuerySet[CacheCount]:
    return CacheCount.objects.filter(organization_id=organization_id, span=span).exclude(name=FOLDED)

"""Move counts from their sources, Redis and the rows of hits, into `CacheCount`. Several may run at once.

Each Redis batch is counted once, whatever crashes: one script moves the counts to a second key and stamps them with
Redis's time, and that stamp goes into the organization's marker row in the transaction that adds them. A batch that is
already in the marker is only deleted. Only Redis can lose counts: what it forgets in a crash is never counted, and if
it forgets that counts were taken (AOF keeps all but the last second), that second is counted twice.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from aiinfra.one_by_one import one_by_one
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cache_app.metrics import counts
from cache_app.metrics.counts import KEPT, begin_of_day, counts_key
from cache_app.models import UNCOUNTED, CacheCount, CacheHit, CountSpan, Layer

BATCH = 1_000
COLUMNS = ("organization_id", "at", "layer", "shadow", "similarity", "saved_nano", "saved_ms", "entry_age_s")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TAKE = """
if redis.call('EXISTS', KEYS[2]) == 0 then
    if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
    redis.call('RENAME', KEYS[1], KEYS[2])
    local now = redis.call('TIME')
    redis.call('HSET', KEYS[2], 'batch', now[1] .. string.format('%06d', now[2]))
end
return redis.call('HGETALL', KEYS[2])
"""
DROP = "if redis.call('HGET', KEYS[1], 'batch') == ARGV[1] then redis.call('DEL', KEYS[1]) end"

Hours = Mapping[datetime, Mapping[str, int]]
"""By hour, or any instant in it, and name."""


def fold_counts() -> None:
    """Add what happened since the last run to the hours and days. Raises RedisError after the hits are counted.

    A day takes whole hours: in time zones offset by half an hour, lookups of a day's first half hour count for the day
    before. Counted days stay unchanged when the organization changes its time zone.
    """
    with system_scope():
        if _first_uncounted.run():
            zones = _time_zones()
            while _fold_hits(zones):
                pass
        if registered := sorted(map(int, redis_client().smembers(counts.REGISTERED))):
            zones = _time_zones()
            one_by_one(registered, lambda organization_id: _fold_notes(organization_id, zones.get(organization_id)))


_first_uncounted = CacheHit.objects.prepare_select(lambda hits: hits.filter(UNCOUNTED).order_by("at")[:1])
"""Its SQL is written once, and it needs no transaction: usually there is none."""


def _time_zones() -> dict[int, ZoneInfo]:
    return {each: ZoneInfo(name) for each, name in Organization.objects.values_list("id", "time_zone")}


def fold_organization(organization: Organization) -> None:
    """Add one organization's lookups, in its scope, so that its latest lookups are visible at once.

    Raises RedisError.
    """
    _fold_notes(organization.pk, ZoneInfo(organization.time_zone))


@transaction.atomic
def add_counts(organization_id: int, zone: ZoneInfo, hours: Hours, hits: Iterable[CacheHit]) -> None:
    """Add some hours' counts, and hits that are already marked as counted; for generated histories.

    Hours past their retention count at the start of their day: their own rows would not be kept.
    """
    kept_since = timezone.now() - KEPT[CountSpan.HOUR]
    moments: dict[datetime, Counter[str]] = defaultdict(Counter)
    for at, names in [*hours.items(), *((hit.at, _names(hit)) for hit in hits)]:
        moments[at if at >= kept_since else begin_of_day(at, zone)].update(names)
    _locked(organization_id)
    _add(organization_id, zone, moments)


def _fold_notes(organization_id: int, zone: ZoneInfo | None) -> None:
    redis, key = redis_client(), counts_key(organization_id)
    answer = redis.eval(TAKE, 2, key, f"{key}:taken")
    taken = dict(zip(answer[::2], answer[1::2], strict=True))
    if not taken:
        _strike_off(organization_id)
        return
    batch = taken.pop("batch")
    if zone:
        _count_batch(organization_id, zone, int(batch), taken)
    redis.eval(DROP, 1, f"{key}:taken", batch)


def _strike_off(organization_id: int) -> None:
    """A process that notes something in the meantime lists the organization again, or is seen here."""
    redis = redis_client()
    redis.srem(counts.REGISTERED, organization_id)
    if redis.exists(counts_key(organization_id)):
        redis.sadd(counts.REGISTERED, organization_id)


@transaction.atomic
def _count_batch(organization_id: int, zone: ZoneInfo, batch: int, taken: Mapping[str, str]) -> None:
    hours: dict[datetime, dict[str, int]] = defaultdict(dict)
    for field, count in taken.items():
        hour, _, name = field.partition(":")
        hours[datetime.fromtimestamp(int(hour), UTC)][name] = int(count)
    if _locked(organization_id).filter(count__lt=batch).update(count=batch):
        _add(organization_id, zone, hours)


@transaction.atomic
def _fold_hits(zones: Mapping[int, ZoneInfo]) -> int:
    """On PostgreSQL another run skips the locked rows; SQLite allows one writing transaction at a time."""
    uncounted = CacheHit.objects.filter(UNCOUNTED).select_for_update(skip_locked=True).only(*COLUMNS)
    hits = list(uncounted.order_by("at")[:BATCH])
    by_organization: dict[int, dict[datetime, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for hit in hits:
        by_organization[hit.organization_id][hit.at].update(_names(hit))
    for organization_id, moments in sorted(by_organization.items()):
        _locked(organization_id)
        _add(organization_id, zones[organization_id], moments)
    CacheHit.objects.filter(id__in=[hit.id for hit in hits]).update(counted=True)
    return len(hits)


def _names(hit: CacheHit) -> dict[str, int]:
    if hit.shadow:
        return {f"shadow:{hit.layer}": 1}
    found = {
        f"hit:{hit.layer}": 1,
        counts.SAVED_NANO: hit.saved_nano,
        counts.SAVED_MS: hit.saved_ms,
        counts.AGE_S: hit.entry_age_s,
    }
    if hit.layer == Layer.SEMANTIC:
        found[counts.SIMILARITY_SUM] = round(hit.similarity * counts.SIMILARITY_UNIT)
    return found


def _locked(organization_id: int) -> QuerySet[CacheCount]:
    """The organization's marker, locked until the transaction ends, so that only one process at a time adds to its
    counts.
    """
    row = {"organization_id": organization_id, "span": CountSpan.DAY, "starts_at": EPOCH, "name": counts.FOLDED}
    marker = CacheCount.objects.filter(**row)
    if not marker.update(count=F("count")):
        # Two may find it missing at once: both insert, one insert does nothing, and then both lock.
        CacheCount.objects.bulk_create([CacheCount(**row)], ignore_conflicts=True)
        marker.update(count=F("count"))
    return marker


def _add(organization_id: int, zone: ZoneInfo, hours: Hours) -> None:
    """Two statements, however much there is to add. The caller holds the organization's lock."""
    added: Counter[tuple[str, datetime, str]] = Counter()
    for at, names in hours.items():
        hour, day = at.replace(minute=0, second=0, microsecond=0), begin_of_day(at, zone)
        for name, count in names.items():
            added[CountSpan.HOUR, hour, name] += count
            added[CountSpan.DAY, day, name] += count
    rows = CacheCount.objects.filter(
        organization_id=organization_id,
        span__in=list(CountSpan),
        starts_at__in={starts_at for _, starts_at, _ in added},
        name__in={name for *_, name in added},
    )
    before = {(row.span, row.starts_at, row.name): row.count for row in rows}
    CacheCount.objects.bulk_create(
        [
            CacheCount(organization_id=organization_id, span=span, starts_at=starts_at, name=name, count=total)
            for (span, starts_at, name), total in ((key, before.get(key, 0) + count) for key, count in added.items())
        ],
        update_conflicts=True,
        update_fields=["count"],
        unique_fields=["organization", "span", "starts_at", "name"],
    )

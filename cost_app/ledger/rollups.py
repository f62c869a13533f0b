"""Hourly and daily rollups of the ledger.

Writing a ledger row also queues it (`PendingUsage`), in the same transaction. `fold` adds queued rows to the rollups
and removes them from the queue, in another transaction. A row therefore counts exactly once, even after a crash;
settling a call never waits for a shared sum; and rollups can be rebuilt from the ledger and compared. Folds of one
organization lock its policy's row, so they run one at a time.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from aiinfra.names import normal_name, normal_names
from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import Prepared, organization_scope, system_scope
from cost_app.calendar import Calendar
from cost_app.ledger.daily_tags import DailyTags, all_tags, tags_for
from cost_app.models import SUMS, CostPolicy, Dimension, LedgerEntry, LedgerKind, PendingUsage, UsageDay, UsageHour
from cost_app.performance.counting import count_calls

BATCH = 2_000
"""Entries of one organization per transaction: a fold of that many takes some tens of ms."""

Key = tuple[str, Any, str]
"""(dimension, hour (datetime) or day (date), value)"""
SumsByKey = dict[Key, list[int]]


@dataclass
class HoursAndDays:
    """Sums of some ledger entries."""

    hours: SumsByKey
    days: SumsByKey


_oldest = PendingUsage.objects.prepare_select(lambda rows: rows.order_by("entry_id")[:1])
"""Its SQL is built once: it runs twice per second and usually finds none."""


def is_anything_queued() -> bool:
    """Whether any ledger entry is queued."""
    with system_scope():
        return bool(_oldest.run())


def fold() -> set[int]:
    """Add every queued ledger entry to the rollups; returns the organizations that had some.

    If an organization's entries cannot be folded, they stay queued and do not delay the others.
    """
    with system_scope():
        if not _oldest.run():
            return set()
        waiting = set(PendingUsage.objects.order_by().values_list("organization_id", flat=True).distinct())
    one_by_one(waiting, _fold_all)
    return waiting


def fold_organization(organization_id: int) -> None:
    """Add one organization's queued entries, so that a call shows in the rollups as soon as it is reported."""
    with organization_scope(organization_id):
        waits = PendingUsage.objects.exists()
    if waits:
        one_by_one([organization_id], _fold_all)


def _fold_all(organization_id: int) -> None:
    """Entries that cannot be folded stay queued; the caller reports them."""
    with organization_scope(organization_id):
        while _fold_batch(organization_id) == BATCH:
            pass


@cache
def _first(count: int) -> Prepared[list[PendingUsage]]:
    """The first of an organization's queued entries, with their ledger entries."""
    return PendingUsage.objects.prepare_select(lambda rows: rows.select_related("entry").order_by("entry_id")[:count])


@transaction.atomic
def _fold_batch(organization_id: int) -> int:
    calendar = _locked_calendar(organization_id)
    entries = [each.entry for each in _first(BATCH).run()]
    _count(organization_id, entries, calendar)
    PendingUsage.objects.filter(entry_id__in=[entry.id for entry in entries]).delete()
    return len(entries)


@transaction.atomic
def add_entries(organization_id: int, entries: Sequence[LedgerEntry]) -> None:
    """Count entries that were written without being queued. Call it in the transaction that writes them."""
    _count(organization_id, entries, _locked_calendar(organization_id))


def _count(organization_id: int, entries: Sequence[LedgerEntry], calendar: Calendar) -> None:
    """Add entries to the sums and to the performance counts. The caller holds the organization's lock."""
    _add(organization_id, _totals(entries, calendar, tags_for(organization_id, entries, calendar)))
    count_calls(organization_id, entries)


@transaction.atomic
def usage_calendar(organization_id: int) -> Calendar:
    """The calendar that divides the organization's rollups into hours and days."""
    return _locked_calendar(organization_id)


def follow_time_zones() -> None:
    """Rebuild the rollups of organizations that moved to another time zone."""
    with system_scope():
        moved = CostPolicy.objects.exclude(usage_time_zone="").exclude(usage_time_zone=F("organization__time_zone"))
        ids = list(moved.values_list("organization_id", flat=True))
    one_by_one(ids, _rebuild_in_scope)


def _rebuild_in_scope(organization_id: int) -> None:
    with organization_scope(organization_id):
        rebuild(organization_id)


@transaction.atomic
def rebuild(organization_id: int) -> None:
    """Recompute the organization's rollups from its ledger, in its current time zone. Reads every entry.

    Entries that are still queued are left to the next fold.
    """
    policy = _locked_policy(organization_id)
    policy.usage_time_zone = Organization.objects.get(id=organization_id).time_zone
    policy.save(update_fields=["usage_time_zone"])
    UsageHour.objects.filter(organization_id=organization_id).delete()
    UsageDay.objects.filter(organization_id=organization_id).delete()
    entries = _folded(organization_id).order_by("id").iterator()
    _add(organization_id, _totals(entries, Calendar(ZoneInfo(policy.usage_time_zone)), DailyTags()))


def totals_between(organization_id: int, starts_at: datetime, ends_at: datetime) -> dict[tuple[str, str], list[int]]:
    """(dimension, value) -> the sums in the order of `SUMS`, from the ledger; reads every entry of that time."""
    entries = LedgerEntry.objects.filter(organization_id=organization_id, at__gte=starts_at, at__lt=ends_at)
    totals: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * len(SUMS))
    for entry in entries.iterator():
        amounts = _amounts(entry)
        for place in _places(entry, normal_names(entry.tags) or [""]):
            totals[place] = [one + other for one, other in zip(totals[place], amounts, strict=True)]
    return totals


@transaction.atomic
def differences(organization_id: int) -> list[str]:
    """One sentence for each rollup that differs from the ledger. Reads every entry of the organization."""
    calendar = _locked_calendar(organization_id)
    totals = _totals(_folded(organization_id).iterator(), calendar, all_tags(organization_id))
    return [
        *_compare("hour", totals.hours, UsageHour.objects.filter(organization_id=organization_id)),
        *_compare("day", totals.days, UsageDay.objects.filter(organization_id=organization_id)),
    ]


def _compare(unit: str, expected: SumsByKey, stored: QuerySet[UsageHour] | QuerySet[UsageDay]) -> Iterator[str]:
    rows = {tuple(row[:3]): list(row[3:]) for row in stored.values_list("dimension", unit, "value", *SUMS).iterator()}
    for key in sorted(expected.keys() | rows.keys()):
        zero = [0] * len(SUMS)
        should, has = expected.get(key, zero), rows.get(key, zero)
        if should != has:
            names = ", ".join(SUMS)
            yield f"{unit} {key[1]}, {key[0]} {key[2]!r}: the ledger has {should}, the rollups have {has} ({names})"


def _folded(organization_id: int) -> QuerySet[LedgerEntry]:
    queued = PendingUsage.objects.filter(entry_id=OuterRef("id"))
    return LedgerEntry.objects.filter(~Exists(queued), organization_id=organization_id)


def _locked_policy(organization_id: int) -> CostPolicy:
    """The policy's row, locked, so that folds and rebuilds of one organization run one at a time."""
    locked = CostPolicy.objects.select_for_update().filter(organization_id=organization_id)
    if found := list(locked):
        return found[0]
    # Two may find it missing at once: both insert, one insert does nothing, and then both lock.
    CostPolicy.objects.bulk_create([CostPolicy(organization_id=organization_id)], ignore_conflicts=True)
    return locked.get()


def _locked_calendar(organization_id: int) -> Calendar:
    policy = _locked_policy(organization_id)
    if not policy.usage_time_zone:
        policy.usage_time_zone = Organization.objects.get(id=organization_id).time_zone
        policy.save(update_fields=["usage_time_zone"])
    return Calendar(ZoneInfo(policy.usage_time_zone))


def _totals(entries: Iterable[LedgerEntry], calendar: Calendar, daily_tags: DailyTags) -> HoursAndDays:
    totals = HoursAndDays(defaultdict(lambda: [0] * len(SUMS)), defaultdict(lambda: [0] * len(SUMS)))
    for entry in entries:
        hour, day = calendar.hour_of(entry.at), calendar.day_of(entry.at)
        amounts = _amounts(entry)
        for dimension, value in _places(entry, daily_tags.places(day, entry.tags)):
            for sums, unit in ((totals.hours, hour), (totals.days, day)):
                row = sums[dimension, unit, value]
                for position, amount in enumerate(amounts):
                    row[position] += amount
    return totals


def _places(entry: LedgerEntry, tags: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(dimension, value) of every rollup that includes the entry. An entry with several tags counts under each."""
    yield Dimension.TOTAL.value, ""
    yield Dimension.PROVIDER.value, entry.provider
    yield Dimension.MODEL.value, f"{entry.provider}/{entry.model}"
    yield Dimension.API_KEY.value, str(entry.api_key_id or "")
    yield Dimension.USER.value, normal_name(entry.user_ref)
    yield Dimension.PRIORITY.value, str(entry.priority or "")
    for tag in tags:
        yield Dimension.TAG.value, tag


def _amounts(entry: LedgerEntry) -> list[int]:
    """Only answered calls have a latency: cache hits and failures do not show how fast a model answers."""
    is_timed = entry.latency_ms is not None and not entry.errors and entry.kind != LedgerKind.CACHE_HIT
    own = {
        "cache_hits": int(entry.kind == LedgerKind.CACHE_HIT),
        "latency_ms": entry.latency_ms or 0 if is_timed else 0,
        "timed_calls": int(is_timed),
    }
    return [own[name] if name in own else getattr(entry, name) for name in SUMS]


def _add(organization_id: int, totals: HoursAndDays) -> None:
    adapt = connection.ops.adapt_datetimefield_value
    hours = {(kind, adapt(hour), value): sums for (kind, hour, value), sums in totals.hours.items()}
    _upsert(UsageHour._meta.db_table, "hour", organization_id, hours)
    _upsert(UsageDay._meta.db_table, "day", organization_id, totals.days)


def _upsert(table: str, unit: str, organization_id: int, sums: SumsByKey) -> None:
    """Add to existing rows, which Django's own upsert cannot do: it only replaces."""
    columns = ["organization_id", "dimension", unit, "value", *SUMS]
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    sql = (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}) "  # noqa: S608
        f"ON CONFLICT (organization_id, dimension, {unit}, value) DO UPDATE SET {added}"
    )
    with connection.cursor() as cursor:
        cursor.executemany(sql, [(organization_id, *key, *amounts) for key, amounts in sums.items()])

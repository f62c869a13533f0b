"""What a scope has cost in a time span, according to the ledger: from its daily and hourly rollups, and its rows at the
edges.

Times are compared with the time at which a cost was booked (`LedgerEntry.at`).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet, Sum

from cost_app.budgets.scopes import Scope
from cost_app.calendar import ONE_DAY, Calendar
from cost_app.ledger.rollups import usage_calendar
from cost_app.models import Hold, LedgerEntry, PendingUsage, UsageDay, UsageHour

HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)
Span = tuple[datetime, datetime]
"""From the first instant to before the last."""


def spent_between(organization_id: int, scope: Scope, begin: datetime, end: datetime) -> int:
    """Nano-dollars of the scope from `begin` to before `end`; call it in a transaction, in the organization's scope.

    Reads one row per whole day, whole hour and value, and the entries of at most two hours and of the fold's queue.
    Waits for a running fold, so that no entry is counted both in the rollups and in the queue.
    """
    if end <= begin:
        return 0
    calendar = usage_calendar(organization_id)
    first_hour, end_hour = _next_hour(calendar, begin), calendar.hour_of(end)
    if end_hour <= first_hour:
        return _of_rows(scope, _entries(begin, end))
    folded = _of_hours_and_days(scope, calendar, first_hour, end_hour)
    edges = _of_rows(scope, _entries(begin, first_hour)) + _of_rows(scope, _entries(end_hour, end))
    return folded + edges + _of_rows(scope, _queued_entries(first_hour, end_hour))


def booked_late(scope: Scope, admitted: Span, until: datetime) -> int:
    """What calls admitted in a span cost by entries at or after `until`."""
    begin, end = admitted
    late = LedgerEntry.objects.filter(at__gte=until, attempt__created_at__gte=begin, attempt__created_at__lt=end)
    return _of_rows(scope, late)


def held_between(budget_id: int, begin: datetime, end: datetime) -> int:
    """What a budget has counted by holds for the entries of a span."""
    held = Exists(Hold.objects.filter(attempt=OuterRef("attempt"), window__budget=budget_id))
    return _total(LedgerEntry.objects.filter(held, at__gte=begin, at__lt=end))


def _next_hour(calendar: Calendar, instant: datetime) -> datetime:
    """The first whole hour of the local clock that does not begin before the instant."""
    hour = calendar.hour_of(instant)
    return hour if hour == instant else calendar.hour_of(hour + HOUR)


def _of_hours_and_days(scope: Scope, calendar: Calendar, begin: datetime, end: datetime) -> int:
    first_day, end_day = calendar.day_of(begin - INSTANT) + ONE_DAY, calendar.day_of(end)
    if end_day <= first_day:
        return _of_hours(scope, begin, end)
    days = UsageDay.objects.filter(
        dimension=scope.dimension, value__in=scope.values, day__gte=first_day, day__lt=end_day
    )
    first_instant, end_instant = calendar.begin_of(first_day), calendar.begin_of(end_day)
    return _of_hours(scope, begin, first_instant) + _total(days) + _of_hours(scope, end_instant, end)


def _of_hours(scope: Scope, begin: datetime, end: datetime) -> int:
    if end <= begin:
        return 0
    hours = UsageHour.objects.filter(dimension=scope.dimension, value__in=scope.values, hour__gte=begin, hour__lt=end)
    return _total(hours)


def _entries(begin: datetime, end: datetime) -> QuerySet[LedgerEntry]:
    return LedgerEntry.objects.filter(at__gte=begin, at__lt=end)


def _queued_entries(begin: datetime, end: datetime) -> QuerySet[LedgerEntry]:
    waiting = PendingUsage.objects.filter(entry__at__gte=begin, entry__at__lt=end).values("entry_id")
    return LedgerEntry.objects.filter(id__in=waiting)


def _of_rows(scope: Scope, entries: QuerySet[LedgerEntry]) -> int:
    """Filtered here and not by the database: tags are JSON, and old rows may contain a name in another spelling."""
    columns = entries.exclude(nano=0).only("nano", "provider", "model", "api_key_id", "user_ref", "tags")
    return _sum(scope.chosen(columns.iterator()))


def _sum(entries: Iterable[LedgerEntry]) -> int:
    return sum(entry.nano for entry in entries)


def _total(rows: QuerySet[UsageDay] | QuerySet[UsageHour] | QuerySet[LedgerEntry]) -> int:
    total: int = rows.aggregate(total=Sum("nano", default=0))["total"]
    return total

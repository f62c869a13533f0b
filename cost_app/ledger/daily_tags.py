"""Bounds the number of sums by tag, which clients choose freely.

The first `TAGS_PER_DAY` tags of an organization's day have sums of their own, and all others share one. The daily sums
record which tags those are, so that folding and comparing with the ledger agree. Budgets for a tag count from
the ledger and are not affected.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from django.db.models import Count, QuerySet

from aiinfra.names import normal_names
from cost_app.calendar import Calendar
from cost_app.models import OTHER_TAGS, Dimension, LedgerEntry, UsageDay

TAGS_PER_DAY = 500
"""A fold writes each tag's hour and day: thousands of them would make every page and every month-end slow."""


@dataclass
class DailyTags:
    """The tags that have sums of their own, by day, and how many there are. Placing a new tag adds it."""

    known: dict[date, set[str]] = field(default_factory=lambda: defaultdict(set))
    counts: dict[date, int] = field(default_factory=lambda: defaultdict(int))

    def places(self, day: date, tags: Iterable[str]) -> list[str]:
        """The values under which a call with these tags counts on that day; [""] without tags."""
        names = normal_names(tags)
        return list(dict.fromkeys(self._place(day, name) for name in names)) if names else [""]

    def _place(self, day: date, name: str) -> str:
        if name in self.known[day]:
            return name
        if self.counts[day] >= TAGS_PER_DAY:
            return OTHER_TAGS
        self.known[day].add(name)
        self.counts[day] += 1
        return name


def tags_for(organization_id: int, entries: Iterable[LedgerEntry], calendar: Calendar) -> DailyTags:
    """What the daily sums know about the tags of these entries. Two queries, none if no entry has a tag."""
    wanted: dict[date, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.tags:
            wanted[calendar.day_of(entry.at)].update(normal_names(entry.tags))
    if not wanted:
        return DailyTags()
    rows = _rows(organization_id).filter(day__in=wanted)
    asked = rows.filter(value__in=set().union(*wanted.values())).values_list("day", "value")
    found = DailyTags()
    for day, value in asked:
        found.known[day].add(value)
    found.counts.update(dict(rows.order_by().values_list("day").annotate(Count("id"))))
    return found


def all_tags(organization_id: int) -> DailyTags:
    """What the daily sums know about every tag of every day."""
    found = DailyTags()
    for day, value in _rows(organization_id).values_list("day", "value").iterator():
        found.known[day].add(value)
        found.counts[day] += 1
    return found


def _rows(organization_id: int) -> QuerySet[UsageDay]:
    days = UsageDay.objects.filter(organization_id=organization_id, dimension=Dimension.TAG)
    return days.exclude(value__in=["", OTHER_TAGS])

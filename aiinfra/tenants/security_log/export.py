"""Exporting the security log; each export is an event of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import TypedDict

from django.db.models import QuerySet

from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import SecurityEvent
from aiinfra.tenants.security_log.recorder import record
from aiinfra.tenants.security_log.stream import line

ROWS_AT_ONCE = 1000


class Filters(TypedDict, total=False):
    """What `events` can be limited to."""

    event: str
    actor: str
    organization: str
    address: str
    first: datetime
    last: datetime


LOOKUPS = {
    "event": "event__startswith",
    "actor": "actor__startswith",
    "organization": "organization",
    "address": "ip_address",
    "first": "at__gte",
    "last": "at__lt",
}


def events(filters: Filters) -> QuerySet[SecurityEvent]:
    """The events that match all filters, unordered.

    `event` and `actor` match prefixes (`login.`, `user:`), the others are exact; `first` is included, `last` is not.
    """
    lookups = {LOOKUPS[name]: value for name, value in filters.items() if value}
    return SecurityEvent.objects.filter(**lookups)


def lines(*, actor: str, filters: Filters | None = None, after: int = 0) -> Iterator[str]:
    """The events as JSON lines, oldest first, in bounded memory; what is recorded in the meantime is left out.

    Recorded before the first line is read.
    """
    chosen = filters or {}
    shown = {name: str(value) for name, value in chosen.items()}
    note = record(Event.LOG_EXPORTED, actor=actor, details={**shown, "after": after})
    rows = events(chosen).filter(sequence__gt=after, sequence__lt=note.sequence).order_by("sequence")
    return map(line, rows.iterator(ROWS_AT_ONCE))

"""Turns check results into incidents, so that a short blip doesn't raise an alert.

A problem becomes an incident when two checks in a row find it, and ends when two in a row do not: a restart of Redis or
a burst that drains within seconds raises nothing, and a value that hovers around its limit does not alert twice per
minute. A problem that returns within five minutes is the same incident, and so the same alert, which the five-minute
rule of alerts keeps quiet. Simultaneous checks of several schedulers count as one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiinfra.monitoring.models import Incident, IncidentState

CHECK_EVERY_S = 30
"""Twice within the specification's minute per health check, so that two checks still take at most a minute."""
APART = timedelta(seconds=20)
"""Checks closer together count as one: they come from several schedulers."""
STALE = timedelta(minutes=3)
"""A suspected incident older than this, such as from before a scheduler pause, is not confirmed."""
SAME_AGAIN = timedelta(minutes=5)
"""As long as an alert is not sent again."""


@dataclass
class IncidentChanges:
    """The incidents that are open after a check: name -> since when. This check did not find the `missed` ones."""

    seen: dict[str, datetime] = field(default_factory=dict)
    missed: dict[str, datetime] = field(default_factory=dict)


def update_incidents(
    organization_id: int | None,
    seen: Mapping[str, str],
    known: Sequence[Incident],
    kinds: Collection[str],
    now: datetime,
) -> IncidentChanges:
    """Update an owner's incidents after a check, in the owner's scope.

    `seen` maps the name of each problem to its kind, `known` are the existing rows. Rows of kinds that could not be
    checked, because they are not in `kinds`, do not change.
    """
    settled = IncidentChanges()
    rows = {row.name: row for row in known if row.kind in kinds}
    for name, kind in seen.items():
        row = rows.get(name) or _suspect(organization_id, name, kind, now)
        _see(row, now)
        if row.state == IncidentState.OPEN:
            settled.seen[name] = row.since
    for name in rows.keys() - seen.keys():
        _miss(rows[name], now)
        if rows[name].state == IncidentState.OPEN:
            settled.missed[name] = rows[name].since
    return settled


def _suspect(organization_id: int | None, name: str, kind: str, now: datetime) -> Incident:
    key: dict[str, Any] = {"organization_id": organization_id, "name": name}
    return Incident.objects.get_or_create(**key, defaults={"kind": kind, "since": now, "seen_at": now})[0]


def _see(row: Incident, now: datetime) -> None:
    if row.state == IncidentState.SUSPECTED:
        if now - row.seen_at > STALE:
            row.since = now
        elif now - row.since >= APART:
            row.state = IncidentState.OPEN
    else:
        row.state = IncidentState.OPEN
    _write(row, state=row.state, since=row.since, seen_at=now, missed_at=None)


def _miss(row: Incident, now: datetime) -> None:
    if row.state == IncidentState.SUSPECTED or (row.missed_at and now - row.missed_at > SAME_AGAIN):
        row.delete()
        row.state = IncidentState.ENDED
        return
    if row.missed_at is None:
        row.missed_at = now
    elif now - row.missed_at >= APART:
        row.state = IncidentState.ENDED
    _write(row, state=row.state, missed_at=row.missed_at)


def _write(row: Incident, **columns: object) -> None:
    """A row that another scheduler has deleted in the meantime stays deleted."""
    Incident.objects.filter(id=row.pk).update(**columns)

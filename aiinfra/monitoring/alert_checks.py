"""One round of the alert manager: find problems and open, update, or resolve their alerts.

Staff receive alerts about the installation: health, providers, and the queue across all organizations. Members receive
alerts about their own organization's queue. A few queries find the problems of all organizations; alerts are then
updated for one organization at a time, so that an error in one does not affect the others.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from aiinfra.monitoring.health import installation_health
from aiinfra.monitoring.incidents import IncidentChanges, update_incidents
from aiinfra.monitoring.models import AlertRules, Incident, IncidentState
from aiinfra.monitoring.problems import Problem, health_problems, on_probation, provider_problems, queue_problems
from aiinfra.monitoring.rules import all_rules, default_rules
from aiinfra.providers import breaker
from aiinfra.providers.breaker import BreakerState
from aiinfra.tenants.scope import owner_scope, system_scope
from cost_app import create_cost_optimizer
from cost_app.facade import AlertKind, Cause
from queue_app.facade import Pressure, aggregate, pressures

logger = logging.getLogger(__name__)
cost = create_cost_optimizer()

QUEUE_KINDS = frozenset({AlertKind.QUEUE_LATENCY, AlertKind.ERROR_RATE, AlertKind.QUEUE_DEPTH})
INSTALLATION_KINDS = QUEUE_KINDS | {AlertKind.SYSTEM_HEALTH, AlertKind.PROVIDER_DOWN}
PROBATION = timedelta(minutes=5)
"""A half-open circuit closes or opens with its next call. If it is still half-open after this, there were no calls."""

Owner = int | None
"""An organization's id, or None for the installation."""


@dataclass(frozen=True)
class Round:
    """What one round found, for all owners."""

    now: datetime
    queues: dict[int, Pressure]
    rules: dict[Owner, AlertRules]
    incidents: dict[Owner, list[Incident]]
    alerted: set[Owner]
    """Owners that have an unresolved alert."""

    def problems_of_queue(self, owner: Owner) -> list[Problem]:
        """Problems with the queue of an organization or, for None, with the queue as a whole."""
        queue = aggregate(self.queues.values()) if owner is None else self.queues.get(owner, Pressure())
        rules = self.rules.get(owner) or default_rules(owner)
        return list(queue_problems(owner, queue, rules, self.now, fails_already=self._fails(owner)))

    def _fails(self, owner: Owner) -> bool:
        rows = self.incidents.get(owner, [])
        return any(row.kind == AlertKind.ERROR_RATE and row.state == IncidentState.OPEN for row in rows)


def check_alerts(now: datetime | None = None) -> None:
    """Run one round. Safe to run from several schedulers at once and while Redis is unreachable."""
    now = now or timezone.now()
    queues = pressures(now)
    found = Round(now, queues, all_rules(), _incidents(), cost.owners_of_live_alerts(INSTALLATION_KINDS))
    owners = {*queues, *found.incidents, *found.alerted}
    _guarded(found, None)
    for owner in sorted(owner for owner in owners if owner is not None):
        _guarded(found, owner)


def _guarded(found: Round, owner: Owner) -> None:
    """An error with one owner must not stop the round for the next."""
    try:
        if owner is None:
            _look_at_installation(found)
        else:
            _follow(found, owner, QUEUE_KINDS, found.problems_of_queue(owner))
    except Exception:
        logger.exception("could not update alerts", extra={"fields": {"organization": owner}})


def _look_at_installation(found: Round) -> None:
    """Circuit states live in Redis. While it is unreachable, provider alerts keep their state."""
    circuits = breaker.states()
    health = installation_health(aggregate(found.queues.values()), found.now)
    problems = [*health_problems(health), *found.problems_of_queue(None)]
    if not health.checks.redis:
        _follow(found, None, INSTALLATION_KINDS - {AlertKind.PROVIDER_DOWN}, problems)
        return
    problems += provider_problems(circuits)
    _follow(found, None, INSTALLATION_KINDS, problems, spared=_on_probation(found, circuits))


def _on_probation(found: Round, circuits: list[BreakerState]) -> set[str]:
    names = on_probation(circuits)
    recent = (row for row in found.incidents.get(None, []) if found.now - row.seen_at < PROBATION)
    return {row.name for row in recent if row.name in names}


def _follow(
    found: Round, owner: Owner, kinds: frozenset[AlertKind], problems: list[Problem], spared: Iterable[str] = ()
) -> None:
    """Update the owner's incidents and their alerts. Incidents named in `spared` are left alone this round."""
    if not (problems or owner in found.incidents or owner in found.alerted):
        return
    with owner_scope(owner):
        known = [row for row in found.incidents.get(owner, []) if row.name not in spared]
        unjudged = [row for row in found.incidents.get(owner, []) if row.name in spared]
        settled = update_incidents(owner, {each.name: each.kind for each in problems}, known, kinds, found.now)
    settled.missed |= {row.name: row.since for row in unjudged if row.state == IncidentState.OPEN}
    causes = [_cause(each, settled.seen[each.name]) for each in problems if each.name in settled.seen]
    cost.follow_causes(owner, kinds, causes, kept=_kept(settled), now=found.now)


def _kept(settled: IncidentChanges) -> list[str]:
    return [_cause_name(name, since) for name, since in settled.missed.items()]


def _cause(problem: Problem, since: datetime) -> Cause:
    return Cause(
        name=_cause_name(problem.name, since),
        kind=problem.kind,
        severity=problem.severity,
        message=problem.message,
        began_at=since,
        facts=problem.explanation(since),
    )


def _cause_name(name: str, since: datetime) -> str:
    """Includes the start, so that each incident gets a separate alert."""
    return f"{name}@{since:%Y-%m-%dT%H:%M:%S}"


def _incidents() -> dict[Owner, list[Incident]]:
    found: dict[Owner, list[Incident]] = defaultdict(list)
    with system_scope():
        for row in Incident.objects.all():
            found[row.organization_id].append(row)
    return found

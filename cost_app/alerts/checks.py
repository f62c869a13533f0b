"""Looks for problems: budgets with new calls after every fold, everything for all organizations once per minute."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, owner_scope, system_scope
from cost_app.alerts.cause import Cause
from cost_app.alerts.detectors import budget_causes, usage_causes
from cost_app.alerts.explain import explanation
from cost_app.alerts.lifecycle import raise_alert, resolve_ended
from cost_app.alerts.notify import notify_opened
from cost_app.budgets.scopes import scope_of
from cost_app.budgets.windows import windows_now
from cost_app.calendar import ONE_DAY, Calendar
from cost_app.models import COST_KINDS, Alert, AlertKind
from cost_app.policy import policy_of, zone_of

logger = logging.getLogger(__name__)

BUDGET_KINDS = frozenset({AlertKind.BUDGET_WARNING, AlertKind.BUDGET_EXCEEDED})
USAGE_KINDS = COST_KINDS - BUDGET_KINDS


def check_budgets(organization_id: int, now: datetime | None = None) -> None:
    """Check whether a budget has passed a threshold: reads only its windows."""
    now = now or timezone.now()
    causes = list(budget_causes(windows_now(organization_id, now)))
    _follow(organization_id, BUDGET_KINDS, causes, now)


def check_usage(organization_id: int, now: datetime | None = None) -> None:
    """Check whether anything is unusual: reads eight weeks of hours."""
    now = now or timezone.now()
    causes = list(usage_causes(organization_id, policy_of(organization_id), _calendar(organization_id), now))
    _follow(organization_id, USAGE_KINDS, causes, now)


def _calendar(organization_id: int) -> Calendar:
    return Calendar(zone_of(organization_id), policy_of(organization_id).month_starts_on)


def _follow(organization_id: int, kinds: Collection[str], causes: list[Cause], now: datetime) -> None:
    """Raise, refresh and resolve the alerts of these kinds."""
    for cause in causes:
        _raise(organization_id, cause, _explained(organization_id, cause, now), now)
    resolve_ended(organization_id, kinds, causes, now, kept=())


def follow_causes(
    organization_id: int | None,
    kinds: Collection[str],
    causes: Sequence[Cause],
    *,
    kept: Collection[str] = (),
    now: datetime | None = None,
) -> None:
    """Raise, refresh and resolve the alerts of these kinds, for callers that know the causes.

    Without an organization they belong to the installation. A cause explains itself by its `facts`; `kept` names causes
    whose alerts do not change. The kinds must not be among `COST_KINDS`.
    """
    now = now or timezone.now()
    with owner_scope(organization_id):
        for cause in causes:
            _raise(organization_id, cause, {}, now)
        resolve_ended(organization_id, kinds, causes, now, kept)


def owners_of_live_alerts(kinds: Collection[str]) -> set[int | None]:
    """Owners of unresolved alerts of these kinds: organizations, and None for the installation."""
    with system_scope():
        live = Alert.objects.filter(kind__in=kinds, resolved_at=None)
        return set(live.order_by().values_list("organization_id", flat=True).distinct())


@transaction.atomic
def _raise(organization_id: int | None, cause: Cause, explained: dict[str, Any], now: datetime) -> None:
    alert, should_notify = raise_alert(organization_id, cause, explained, now)
    if should_notify:
        notify_opened(alert)


def _explained(organization_id: int, cause: Cause, now: datetime) -> dict[str, Any]:
    """Only for a new alert: the explanation describes the moment at which it was raised."""
    known = Alert.objects.filter(organization_id=organization_id, cause=cause.name).exists()
    if cause.since is None or known:
        return {}
    scope = scope_of(cause.budget.scope, cause.budget.scope_value) if cause.budget else None
    calendar = _calendar(organization_id)
    return explanation(organization_id, calendar.day_of(cause.since), calendar.day_of(now) + ONE_DAY, scope)


def check_budgets_of(organization_ids: Iterable[int]) -> None:
    """The budgets of the given organizations, which had calls."""
    for organization_id in organization_ids:
        _checked(organization_id, check_budgets)


def check_all() -> None:
    """Check everything, for every organization."""
    with system_scope():
        organizations = list(Organization.objects.values_list("id", flat=True))
    for organization_id in organizations:
        _checked(organization_id, check_budgets)
        _checked(organization_id, check_usage)


def _checked(organization_id: int, check: Callable[[int], None]) -> None:
    """A failure for one organization must not leave the next one unchecked."""
    try:
        with organization_scope(organization_id):
            check(organization_id)
    except Exception:
        logger.exception("check failed", extra={"fields": {"organization": organization_id}})

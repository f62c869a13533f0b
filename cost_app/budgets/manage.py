"""Create, change and remove budgets, and raise them temporarily. Amounts are nano-dollars.

A change applies immediately: it is written to the budget and to its current window in one transaction. Changes to an
organization's budgets are serialized by a lock on the organization's row, so that two concurrent ones create one
budget. Reservations and spending do not change; if a limit is cut below them, a blocking budget admits nothing more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone

from aiinfra.money import dollars
from aiinfra.names import normal_name
from aiinfra.tenants import audit
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets import creation_lock
from cost_app.budgets.names import budget_names
from cost_app.budgets.opening import calendar_for, count_gap, open_windows
from cost_app.budgets.rollover import max_carry_over, refresh_rollover
from cost_app.budgets.scopes import scope_of
from cost_app.budgets.spending import spent_between
from cost_app.budgets.terms import (
    NANO_MAX,
    BudgetChangedError,
    BudgetSumError,
    BudgetTerms,
    BudgetTermsError,
    check_amount,
    check_model_is_priced,
    checked,
)
from cost_app.calendar import Period
from cost_app.models import Budget, BudgetIncrease, BudgetWindow

REASON_MAX = 200
FACTS = ("limit_nano", "warning_percent", "alert_percent", "rollover_unused", "rollover_cap_nano", "enforcement")
AMOUNTS = {"limit_nano": "limit", "rollover_cap_nano": "rollover_cap"}
"""Columns of money, and their names in the audit log, which has dollars."""


def set_budget(
    *,
    organization_id: int,
    terms: BudgetTerms,
    actor: str,
    from_now: bool = False,
    unchanged_since: datetime | None = None,
) -> Budget:
    """Create the budget of this period and scope, or change the existing one; returns it.

    A new budget counts what its current period has already cost or, with `from_now`, only later spending. A removed
    budget is restored as if it had always existed, and `from_now` applies only if its last period is over.
    `unchanged_since` is the `updated_at` that the caller saw. Raises BudgetTermsError, and BudgetChangedError if
    someone has changed the budget since.
    """
    with _changing(organization_id):
        terms = checked(terms)
        budget = _same(terms)
        if budget is None:
            check_model_is_priced(terms)
            budget = _empty(organization_id, terms)
        if unchanged_since and budget.updated_at != unchanged_since:
            raise BudgetChangedError
        before = _facts(budget) if budget.is_active else {}
        if not budget.is_active:
            creation_lock.lock_exclusive(organization_id)  # before the clock is read: those calls are older than that
        _bring_up(budget, timezone.now(), from_now=from_now)
        _write(budget, terms)
        if changes := _changes(before, _facts(budget)):
            _record(budget, "changed" if before else "created", actor, changes)
        return budget


def _same(terms: BudgetTerms) -> Budget | None:
    """The budget of this period and scope; for a key also that of one it replaced, or that replaced it."""
    values = scope_of(terms.scope, terms.scope_value).values
    same = Budget.objects.filter(period=terms.period, scope=terms.scope, scope_value__in=values)
    return same.order_by("-is_active", "-id").first()


def _bring_up(budget: Budget, now: datetime, *, from_now: bool) -> None:
    """Open the windows that are due under the previous terms; after that, calls are blocked by the lock."""
    if not budget.is_active:
        newest = BudgetWindow.objects.filter(budget=budget).order_by("-ends_at").first()
        if from_now and (newest is None or newest.ends_at <= now):
            budget.counts_from = now
        budget.holds_since = now
        budget.save(update_fields=["counts_from", "holds_since"])
        count_gap(budget, removed_at=budget.updated_at, now=now)
    open_windows(budget, now)


def remove_budget(*, budget: Budget, actor: str) -> bool:
    """Remove a budget: calls are no longer checked against it, its windows remain, its increases end. False if already
    removed.
    """
    with _changing(budget.organization_id):
        now = timezone.now()
        if not Budget.objects.filter(id=budget.id, is_active=True).update(is_active=False, updated_at=now):
            return False
        BudgetIncrease.objects.filter(budget=budget, expires_at__gt=now, withdrawn_at=None).update(withdrawn_at=now)
        budget.refresh_from_db()
        _record(budget, "removed", actor, {name: [value, None] for name, value in _facts(budget).items()})
        return True


def grant_increase(*, budget: Budget, nano: int, reason: str, expires_at: datetime, actor: str) -> BudgetIncrease:
    """Raise a budget's limit by `nano` from now until `expires_at`. Raises BudgetTermsError.

    It applies to each window that is open during that time, and is never carried over.
    """
    check_amount("nano", nano, least=1)
    reason = normal_name(reason)  # hidden characters could stand for a reason, or disguise it in the audit log
    if not reason or len(reason) > REASON_MAX:
        raise BudgetTermsError("reason", f"Enter a reason of 1 to {REASON_MAX} characters.")
    with _changing(budget.organization_id):
        if expires_at <= timezone.now():
            raise BudgetTermsError("expires_at", "The increase must expire in the future.")
        if not Budget.objects.filter(id=budget.id, is_active=True).exists():
            raise BudgetTermsError("budget", "This budget has been removed.")
        _check_sum(budget, nano)
        increase = BudgetIncrease.objects.create(
            organization_id=budget.organization_id,
            budget=budget,
            nano=nano,
            reason=reason,
            by=actor,
            expires_at=expires_at,
        )
        until = expires_at.isoformat(timespec="seconds")
        changes = {"increase": [None, dollars(nano)], "until": [None, until], "reason": [None, reason]}
        _record(budget, "increased", actor, changes)
        return increase


def _check_sum(budget: Budget, nano: int) -> None:
    """Each call adds up the increases in effect, in 64 bits."""
    now = timezone.now()
    in_force = BudgetIncrease.objects.filter(budget=budget, expires_at__gt=now, withdrawn_at=None)
    if in_force.aggregate(nano=Sum("nano", default=0))["nano"] + nano > NANO_MAX:
        raise BudgetSumError("nano", "All increases in effect must total less than $100 million; withdraw one first.")


def withdraw_increase(*, increase: BudgetIncrease, actor: str) -> bool:
    """End an increase now. False if it had already ended."""
    with _changing(increase.organization_id):
        now = timezone.now()
        in_force = BudgetIncrease.objects.filter(id=increase.id, withdrawn_at=None, expires_at__gt=now)
        if not in_force.update(withdrawn_at=now):
            return False
        _record(increase.budget, "increase_withdrawn", actor, {"increase": [dollars(increase.nano), None]})
        return True


def audit_target(budget: Budget) -> str:
    """The name of a budget in the audit log; `audit_prefix` finds it again."""
    return f"{audit_prefix(budget)}{budget_names([budget])[budget.id]}"[:200]


def audit_prefix(budget: Budget) -> str:
    """The part that is unique to the budget."""
    return f"budget {budget.id}: "


def budget_terms(budget: Budget, **changes: Any) -> BudgetTerms:
    """A budget's settings, with changes."""
    columns = {name: getattr(budget, name) for name in BudgetTerms.__dataclass_fields__}
    return replace(BudgetTerms(**columns), **changes)


def spent_so_far(*, organization_id: int, period: str, scope: str, scope_value: str) -> int:
    """Nano-dollars that the current period of such a budget has cost, as a preview before creating it.

    Raises BudgetTermsError.
    """
    terms = checked(BudgetTerms(period=period, limit_nano=0, scope=scope, scope_value=scope_value))
    now = timezone.now()
    starts_at, _ = calendar_for(organization_id).bounds(Period(terms.period), now)
    with transaction.atomic():
        return spent_between(organization_id, scope_of(terms.scope, terms.scope_value), starts_at, now)


@contextmanager
def _changing(organization_id: int) -> Iterator[None]:
    """Serialize changes to an organization's budgets. Calls continue: they lock only the row's key."""
    with organization_scope(organization_id), transaction.atomic():
        Organization.objects.select_for_update(no_key=True).get(id=organization_id)
        yield


def _empty(organization_id: int, terms: BudgetTerms) -> Budget:
    """An empty budget of this scope; `_write` sets the rest."""
    return Budget.objects.create(
        organization_id=organization_id,
        period=terms.period,
        scope=terms.scope,
        scope_value=terms.scope_value,
        limit_nano=0,
        is_active=False,
    )


def _write(budget: Budget, terms: BudgetTerms) -> None:
    now = timezone.now()
    if not budget.is_active or any(getattr(budget, name) != getattr(terms, name) for name in FACTS):
        budget.updated_at = now
    for name in FACTS:
        setattr(budget, name, getattr(terms, name))
    budget.is_active = True
    budget.save()
    windows = BudgetWindow.objects.filter(budget=budget, ends_at__gt=now)
    # One UPDATE, which locks the rows: a concurrent call is admitted either before or after it.
    windows.update(
        limit_nano=F("rollover_nano") + budget.limit_nano,
        carries_at_most_nano=max_carry_over(budget),
        enforcement=budget.enforcement,
    )
    for window in windows.order_by("id"):
        refresh_rollover(window)


def _facts(budget: Budget) -> dict[str, Any]:
    return {AMOUNTS.get(name, name): _fact(name, getattr(budget, name)) for name in FACTS}


def _fact(name: str, value: Any) -> Any:
    if name in AMOUNTS:
        return None if value is None else dollars(value)
    return str(value) if isinstance(value, str) else value


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: [before.get(name), value] for name, value in after.items() if before.get(name) != value}


def _record(budget: Budget, what: str, actor: str, changes: dict[str, Any]) -> None:
    audit.record(
        organization_id=budget.organization_id,
        actor=actor,
        verb=f"budget.{what}",
        target=audit_target(budget),
        changes=changes,
    )

"""Which budgets count a call, and their windows: opened when first needed, one after the other without a gap.

A window once opened keeps its ends, whatever happens to the clock or to the organization's time zone; a new time zone
begins with the next window.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import BigIntegerField, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from aiinfra.one_by_one import one_by_one
from cost_app.calendar import Calendar, Period
from cost_app.models import Attempt, Budget, BudgetIncrease, BudgetScope, BudgetWindow
from cost_app.policy import policy_of, zone_of


@dataclass(frozen=True)
class OpenWindow:
    """A window with its limit at this moment: its own and the increases that are in force. Nano-dollars."""

    window: BudgetWindow
    increase_nano: int

    @property
    def limit_nano(self) -> int:
        """What may be spent and held in all."""
        return self.window.limit_nano + self.increase_nano

    @property
    def used_nano(self) -> int:
        """Spent and held."""
        return self.window.committed_nano + self.window.reserved_nano

    @property
    def free_nano(self) -> int:
        """What is left; negative where the limit was cut or a warning passed."""
        return self.limit_nano - self.used_nano


def windows_now(organization_id: int, now: datetime | None = None) -> list[OpenWindow]:
    """The current window of every active budget, by budget; opens those that are missing."""
    return _open_windows(Budget.objects.filter(organization_id=organization_id, is_active=True), now or timezone.now())


def windows_for(attempt: Attempt, now: datetime) -> list[OpenWindow]:
    """The current windows of the budgets that count this call, in the order in which they are locked."""
    counting = (
        Q(scope=BudgetScope.ORGANIZATION)
        | Q(scope=BudgetScope.MODEL, scope_value=f"{attempt.provider}/{attempt.model}")
        | Q(scope=BudgetScope.TAG, scope_value__in=attempt.tags)
    )
    if attempt.api_key_id:
        counting |= Q(scope=BudgetScope.API_KEY, scope_value=str(attempt.api_key_id))
    if attempt.user_ref:
        counting |= Q(scope=BudgetScope.USER, scope_value=attempt.user_ref)
    budgets = Budget.objects.filter(counting, organization_id=attempt.organization_id, is_active=True)
    return _open_windows(budgets, now)


def _open_windows(budgets: QuerySet[Budget], now: datetime) -> list[OpenWindow]:
    wanted = {budget.id: budget for budget in budgets}
    if not wanted:
        return []
    found = _with_increases(BudgetWindow.objects.filter(budget__in=wanted, starts_at__lte=now, ends_at__gt=now), now)
    missing = wanted.keys() - {each.window.budget_id for each in found}
    opened = [_open_window(wanted[budget_id], now).id for budget_id in sorted(missing)]
    if opened:
        found += _with_increases(BudgetWindow.objects.filter(id__in=opened), now)
    for each in found:
        each.window.budget = wanted[each.window.budget_id]
    return sorted(found, key=lambda each: each.window.id)


def _with_increases(windows: QuerySet[BudgetWindow], now: datetime) -> list[OpenWindow]:
    in_force = BudgetIncrease.objects.filter(budget=OuterRef("budget"), expires_at__gt=now, withdrawn_at=None)
    total = in_force.order_by().values("budget").annotate(total=Sum("nano")).values("total")
    rows = windows.annotate(increase=Coalesce(Subquery(total, output_field=BigIntegerField()), Value(0)))
    return [OpenWindow(window, window.increase) for window in rows]


def _open_window(budget: Budget, now: datetime) -> BudgetWindow:
    """The budget's next window; of several processes at once one makes it.

    The newest again where another process has just opened it, or where the clock went back.
    """
    newest = BudgetWindow.objects.filter(budget=budget).order_by("-starts_at").first()
    if newest and newest.ends_at > now:
        return newest
    starts_at, ends_at = _calendar(budget.organization_id).bounds(Period(budget.period), now)
    if newest:
        starts_at = max(starts_at, newest.ends_at)
    rollover = carried_over(budget, newest, starts_at)
    window = BudgetWindow(
        organization_id=budget.organization_id,
        budget=budget,
        starts_at=starts_at,
        ends_at=ends_at,
        limit_nano=budget.limit_nano + rollover,
        rollover_nano=rollover,
        enforcement=budget.enforcement,
    )
    BudgetWindow.objects.bulk_create([window], ignore_conflicts=True)
    return BudgetWindow.objects.get(budget=budget, starts_at=starts_at)


def _calendar(organization_id: int) -> Calendar:
    return Calendar(zone_of(organization_id), policy_of(organization_id).month_starts_on)


def carried_over(budget: Budget, before: BudgetWindow | None, starts_at: datetime) -> int:
    """What the window before left unused, in nano-dollars; what calls still hold of it counts as spent.

    Windows in which nothing was asked do not exist: of those, one whole limit is carried, never more.
    """
    if not budget.rollover_unused or before is None:
        return 0
    follows = before.ends_at == starts_at
    unused = before.limit_nano - before.committed_nano - before.reserved_nano if follows else budget.limit_nano
    cap = unused if budget.rollover_cap_nano is None else budget.rollover_cap_nano
    return max(0, min(unused, cap))


def refresh_rollover(window: BudgetWindow) -> bool:
    """Count again what the window before left over: calls of it may have ended since. True if the limit changed."""
    budget = window.budget
    before = BudgetWindow.objects.filter(budget=budget, starts_at__lt=window.starts_at).order_by("-starts_at").first()
    rollover = carried_over(budget, before, window.starts_at)
    changed = BudgetWindow.objects.filter(id=window.id, rollover_nano=window.rollover_nano).exclude(
        rollover_nano=rollover
    )
    return bool(changed.update(limit_nano=F("limit_nano") - window.rollover_nano + rollover, rollover_nano=rollover))


def refresh_rollovers(now: datetime | None = None) -> None:
    """The same for every current window that can carry over; for the sweeper.

    And where a window was opened while its budget was being changed, it gets what the budget says now.
    """
    now = now or timezone.now()
    current = BudgetWindow.objects.filter(starts_at__lte=now, ends_at__gt=now, budget__is_active=True)
    one_by_one(current.filter(budget__rollover_unused=True).select_related("budget"), refresh_rollover)
    agrees = Q(limit_nano=F("budget__limit_nano") + F("rollover_nano"), enforcement=F("budget__enforcement"))
    for window in current.exclude(agrees).select_related("budget"):
        BudgetWindow.objects.filter(id=window.id, rollover_nano=window.rollover_nano).update(
            limit_nano=window.budget.limit_nano + window.rollover_nano, enforcement=window.budget.enforcement
        )

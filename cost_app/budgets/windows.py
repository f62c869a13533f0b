"""Which budgets count a call, and their windows: opened on first use, one after the other without a gap.

An open window keeps its ends, whatever happens to the clock or the organization's calendar; a new time zone or fiscal
day starts with the next window.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db.models import BigIntegerField, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from aiinfra.tenants.scope import KEPT, Prepared
from aiinfra.tenants.statements import Parameter
from cost_app.budgets import creation_lock
from cost_app.budgets.opening import open_windows
from cost_app.budgets.scopes import active_budgets, budgets_counting
from cost_app.models import Attempt, Budget, BudgetIncrease, BudgetWindow, Enforcement, Hold


@dataclass(frozen=True)
class OpenWindow:
    """A window with its current limit: its own plus the increases in effect. Nano-dollars."""

    window: BudgetWindow
    increase_nano: int

    @property
    def limit_nano(self) -> int:
        """The total that may be spent and reserved."""
        return self.window.limit_nano + self.increase_nano

    @property
    def used_nano(self) -> int:
        """Spent and reserved."""
        return self.window.committed_nano + self.window.reserved_nano

    @property
    def free_nano(self) -> int:
        """What is left; negative if the limit was cut or a warning budget was exceeded."""
        return self.limit_nano - self.used_nano

    @property
    def is_refusing(self) -> bool:
        """Whether calls like the last refused one would still be refused, even if all calls in progress ended now."""
        window = self.window
        if window.enforcement == Enforcement.WARN or not window.refused_calls:
            return False
        return window.committed_nano + window.refused_nano > self.limit_nano


def windows_now(organization_id: int, now: datetime | None = None) -> list[OpenWindow]:
    """The current window of every active budget, by budget; opens missing ones."""
    return _open_windows(Budget.objects.filter(organization_id=organization_id, is_active=True), now or timezone.now())


def windows_for(attempt: Attempt, now: datetime) -> list[OpenWindow]:
    """The current windows of the budgets that count this call, in the order in which they are locked.

    Call it in the call's transaction: until that ends, no budget is set up that would miss the call.
    """
    creation_lock.lock_shared(attempt.organization_id)
    return _open_windows(active_budgets(attempt), now)


def windows_at(attempt: Attempt, at: datetime) -> list[BudgetWindow]:
    """Every window at `at` that counts a past call of that time; by ID.

    A budget whose calendar changed may have two of them. Windows that start counting later are excluded. Those of a
    budget that was removed after the call are included: restoring it adds only what was spent since. Call it in the
    transaction that books the call, like `windows_for`.
    """
    creation_lock.lock_shared(attempt.organization_id)
    budgets = [
        budget
        for budget in budgets_counting(attempt).filter(Q(is_active=True) | Q(updated_at__gt=at))
        if budget.counts_from is None or budget.counts_from <= at
    ]
    for budget in budgets:
        if budget.is_active:
            open_windows(budget, max(at, timezone.now()))
    return list(BudgetWindow.objects.filter(budget__in=budgets, starts_at__lte=at, ends_at__gt=at).order_by("id"))


def windows_holding(attempt_id: UUID) -> list[OpenWindow]:
    """The windows in which a call was held, as they are now."""
    return [OpenWindow(each, each.increase) for each in _holding.run(attempt_id=attempt_id, now=timezone.now())]


def _that_hold(windows: QuerySet[BudgetWindow]) -> QuerySet[Any]:
    holds = Hold.objects.filter(attempt_id=Parameter("attempt_id", "attempt"))
    return _with_increases(windows.filter(id__in=holds.values("window_id")), Parameter("now", "expires_at"))


_holding: Prepared[list[Any]] = BudgetWindow.objects.prepare_select(_that_hold)


def _open_windows(budgets: Iterable[Budget], now: datetime) -> list[OpenWindow]:
    wanted = {budget.id: budget for budget in budgets}
    if not wanted:
        return []
    # By age: of two whose calendars differ, the newer one applies.
    found = {each.budget_id: each for each in _running(len(wanted)).run(now=now, **_named(wanted))}
    opened = [open_windows(wanted[budget_id], now).id for budget_id in sorted(wanted.keys() - found.keys())]
    if opened:
        newest = _with_increases(BudgetWindow.objects.filter(id__in=opened), now)
        found |= {each.budget_id: each for each in newest}
    for each in found.values():
        each.budget = wanted[each.budget_id]
    return [OpenWindow(each, each.increase) for each in sorted(found.values(), key=lambda each: each.id)]


@lru_cache(KEPT)
def _running(count: int) -> Prepared[list[Any]]:
    """The windows at `now` of so many budgets, by their end, with what raises their limits."""

    def build(windows: QuerySet[BudgetWindow]) -> QuerySet[Any]:
        now = Parameter("now", "starts_at")
        of_a_budget = reduce(or_, [Q(budget=Parameter(name, "budget")) for name in _named(range(count))])
        running = windows.filter(of_a_budget, starts_at__lte=now, ends_at__gt=now)
        return _with_increases(running.order_by("ends_at"), Parameter("now", "expires_at"))

    return BudgetWindow.objects.prepare_select(build)


def _named(budgets: Iterable[int]) -> dict[str, int]:
    return {f"budget {number}": budget for number, budget in enumerate(budgets)}


def _with_increases(windows: QuerySet[BudgetWindow], now: datetime | Parameter) -> QuerySet[Any]:
    in_force = BudgetIncrease.objects.filter(budget=OuterRef("budget"), expires_at__gt=now, withdrawn_at=None)
    total = in_force.order_by().values("budget").annotate(total=Sum("nano")).values("total")
    return windows.annotate(increase=Coalesce(Subquery(total, output_field=BigIntegerField()), Value(0)))

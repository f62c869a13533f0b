"""What windows carry over from earlier ones: a function of the windows, independent of who computes it and when."""

from datetime import datetime
from itertools import pairwise

from django.db.models import F, Q
from django.utils import timezone

from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.statements import Parameter
from cost_app.budgets.terms import NANO_MAX
from cost_app.models import Budget, BudgetWindow

WINDOWS_FOLLOWED = 35
"""How far back a late cost can change the carry-over: usage is reported within 31 days."""


def max_carry_over(budget: Budget) -> int:
    """The maximum that a window of this budget carries over, in nano-dollars, also if there is no cap."""
    if not budget.rollover_unused:
        return 0
    return NANO_MAX if budget.rollover_cap_nano is None else budget.rollover_cap_nano


def carried_over(before: BudgetWindow | None, most: int) -> int:
    """The unused amount of the previous window in nano-dollars; reservations count as spent."""
    if before is None:
        return 0
    return max(0, min(before.limit_nano - before.committed_nano - before.reserved_nano, most))


def refresh_rollover(window: BudgetWindow) -> bool:
    """Recompute the carry-over, window by window up to this one. True if its limit changed.

    Calls of earlier windows may have ended since, or may have been reported late.
    """
    earlier = BudgetWindow.objects.filter(budget=window.budget_id, ends_at__lt=window.ends_at)
    chain = [*reversed(earlier.order_by("-ends_at")[:WINDOWS_FOLLOWED]), window]
    changed = False
    for before, after in pairwise(chain):
        changed = _take_over(before, after)
    return changed


def _take_over(before: BudgetWindow, window: BudgetWindow) -> bool:
    rollover = carried_over(before, window.carries_at_most_nano)
    if rollover == window.rollover_nano:
        return False
    unchanged = BudgetWindow.objects.filter(id=window.id, rollover_nano=window.rollover_nano)
    limit = F("limit_nano") - window.rollover_nano + rollover
    is_ours = bool(unchanged.update(limit_nano=limit, rollover_nano=rollover))
    if is_ours:
        window.limit_nano += rollover - window.rollover_nano
        window.rollover_nano = rollover
    return is_ours


IS_CURRENT = Q(
    starts_at__lte=Parameter("now", "starts_at"), ends_at__gt=Parameter("now", "ends_at"), budget__is_active=True
)
AGREES = Q(limit_nano=F("budget__limit_nano") + F("rollover_nano"), enforcement=F("budget__enforcement"))
_with_other_settings = BudgetWindow.objects.prepare_select(
    lambda windows: windows.filter(IS_CURRENT).exclude(AGREES).select_related("budget")
)
_that_carry_over = BudgetWindow.objects.prepare_select(
    lambda windows: windows.filter(IS_CURRENT, budget__rollover_unused=True)
)


def refresh_rollovers(now: datetime | None = None) -> None:
    """Recompute the carry-over of every current window; for the sweeper.

    A window that was opened while its budget was being changed also gets the budget's current settings.
    """
    now = now or timezone.now()
    one_by_one(_with_other_settings.run(now=now), apply_settings)
    one_by_one(_that_carry_over.run(now=now), refresh_rollover)


def apply_settings(window: BudgetWindow) -> None:
    """Apply the budget's settings to a window; keeps its carry-over."""
    BudgetWindow.objects.filter(id=window.id, rollover_nano=window.rollover_nano).update(
        limit_nano=window.budget.limit_nano + window.rollover_nano,
        carries_at_most_nano=max_carry_over(window.budget),
        enforcement=window.budget.enforcement,
    )

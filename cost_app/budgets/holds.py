"""Holding money for calls, and turning what they cost into spending.

A budget is one conditional UPDATE: it adds the bound only where that still fits, so that of any number of calls at once
only those pass that fit. Windows are always taken in the order of their ids, all of them or none.
"""

from django.db.models import F, Q

from aiinfra.money import dollars
from cost_app.budgets.refusals import BudgetBusyError, BudgetExceededError, BudgetRefusedError
from cost_app.budgets.refused import note_refusal
from cost_app.budgets.rollover import refresh_rollover
from cost_app.budgets.scopes import budgets_counting
from cost_app.budgets.windows import OpenWindow
from cost_app.models import Attempt, BudgetWindow, Enforcement, Hold


def reserve(attempt: Attempt, windows: list[OpenWindow]) -> None:
    """Hold the attempt's bound in each window; call it in the attempt's transaction, as its last statement.

    Raises BudgetExceededError or BudgetBusyError; then the caller's transaction must be rolled back.
    """
    bound = attempt.bound_nano
    Hold.objects.bulk_create([_hold(attempt, each.window, reserved_nano=bound) for each in windows])
    for each in windows:
        if not _add(each, bound) and not _add_after_refresh(each, bound):
            raise _refusal(each, bound)


def charge(attempt: Attempt, windows: list[BudgetWindow]) -> None:
    """Count what a call has cost that nobody asked a budget for: usage from outside."""
    Hold.objects.bulk_create([_hold(attempt, each, committed_nano=attempt.cost_nano) for each in windows])
    for each in windows:
        BudgetWindow.objects.filter(id=each.id).update(committed_nano=F("committed_nano") + attempt.cost_nano)


def close(attempt: Attempt, cost_nano: int) -> None:
    """Free what the attempt holds and count its cost in the windows that it was admitted to.

    The cost goes up or down from what was counted before. The caller has changed the attempt's row in the same
    transaction, so that two never do it at once.
    """
    holds = list(Hold.objects.filter(attempt=attempt).order_by("window_id"))
    if holds:
        Hold.objects.filter(attempt=attempt).update(reserved_nano=0, committed_nano=cost_nano)
    for hold in holds:  # last: from here to the commit other calls wait for the window
        BudgetWindow.objects.filter(id=hold.window_id).update(
            reserved_nano=F("reserved_nano") - hold.reserved_nano,
            committed_nano=F("committed_nano") + (cost_nano - hold.committed_nano),
        )


def lift_from_openings(attempt: Attempt, counted_nano: int) -> None:
    """Give a call a hold in each window that has it in its opening sum, with what it counts there.

    For a cost that changes after it was booked: `close` then finds it. The caller has locked the attempt's row.
    """
    windows = BudgetWindow.objects.filter(
        budget__in=budgets_counting(attempt), starts_at__lte=attempt.created_at, opened_to__gt=attempt.created_at
    )
    for window in windows.exclude(holds__attempt=attempt).select_related("budget").order_by("id"):
        counts_from = window.budget.counts_from
        if counts_from and attempt.created_at < counts_from:
            continue
        _hold(attempt, window, committed_nano=counted_nano).save(force_insert=True)
        BudgetWindow.objects.filter(id=window.id).update(opening_nano=F("opening_nano") - counted_nano)


def _hold(attempt: Attempt, window: BudgetWindow, *, reserved_nano: int = 0, committed_nano: int = 0) -> Hold:
    return Hold(
        organization_id=attempt.organization_id,
        attempt=attempt,
        window=window,
        reserved_nano=reserved_nano,
        committed_nano=committed_nano,
    )


def _add(each: OpenWindow, bound: int) -> bool:
    if not bound:  # what costs nothing fits everywhere
        return True
    fits = Q(committed_nano__lte=F("limit_nano") + each.increase_nano - F("reserved_nano") - bound)
    rows = BudgetWindow.objects.filter(Q(enforcement=Enforcement.WARN) | fits, id=each.window.id)
    return bool(rows.update(reserved_nano=F("reserved_nano") + bound))


def _add_after_refresh(each: OpenWindow, bound: int) -> bool:
    """Calls of the window before may have ended since, and what they left over makes room here."""
    return each.window.carries_at_most_nano > 0 and refresh_rollover(each.window) and _add(each, bound)


def _refusal(each: OpenWindow, bound: int) -> BudgetRefusedError:
    """Busy only where the call fits once everybody else has ended and cost nothing."""
    window = BudgetWindow.objects.get(id=each.window.id)
    limit = window.limit_nano + each.increase_nano
    budget = each.window.budget
    free = limit - window.committed_nano
    if bound > free:
        note_refusal(window.id, bound)
        left = dollars(max(0, free))
        message = f"The {budget} budget of {dollars(limit)} has {left} left; this call can cost {dollars(bound)}."
        return BudgetExceededError(budget, bound, free, message)
    message = f"The {budget} budget of {dollars(limit)} is held by calls that are under way. Try again in a moment."
    return BudgetBusyError(budget, bound, free - window.reserved_nano, message)

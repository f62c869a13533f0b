"""Reserves money for calls, and converts reservations to spending.

A budget check is one conditional UPDATE: it adds the call's maximum cost only if that still fits, so that of any number
of concurrent calls only those that fit pass. Windows are always locked in the order of their IDs, all of them or none.
"""

from datetime import datetime

from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet

from aiinfra.money import dollars
from aiinfra.tenants.shapes import Plus
from aiinfra.tenants.statements import Parameter
from cost_app.budgets.refusal_counts import record_refusal
from cost_app.budgets.refusals import BudgetBusyError, BudgetExceededError, BudgetRefusedError
from cost_app.budgets.rollover import refresh_rollover
from cost_app.budgets.scopes import budgets_counting
from cost_app.budgets.windows import OpenWindow
from cost_app.models import Attempt, BudgetWindow, Enforcement, Hold, LedgerEntry


def reserve(attempt: Attempt, windows: list[OpenWindow]) -> None:
    """Reserve the attempt's maximum cost in each window; call it as the last statement of the attempt's transaction.

    Raises BudgetExceededError or BudgetBusyError; the caller must then roll its transaction back.
    """
    bound = attempt.bound_nano
    Hold.objects.insert_all([_hold(attempt, each.window, reserved_nano=bound) for each in windows])
    for each in windows:
        if not _add(each, bound) and not _add_after_refresh(each, bound):
            raise _refusal(each, bound)


def charge(attempt: Attempt, windows: list[BudgetWindow]) -> None:
    """Count the cost of a call that no budget has admitted: usage reported from outside."""
    Hold.objects.bulk_create([_hold(attempt, each, committed_nano=attempt.cost_nano) for each in windows])
    for each in windows:
        BudgetWindow.objects.filter(id=each.id).update(committed_nano=F("committed_nano") + attempt.cost_nano)


def close(attempt: Attempt, cost_nano: int) -> None:
    """Release what the attempt has reserved and count its cost in the windows that admitted it.

    The cost replaces what was counted before. The caller has changed the attempt's row in the same transaction, so that
    two callers never do this at once.
    """
    holds = _holds.run(attempt_id=attempt.id)
    if holds:
        Hold.objects.change({"reserved_nano": 0, "committed_nano": cost_nano}, attempt_id=attempt.id)
    for hold in holds:  # last, because other calls wait for the window from here to the commit
        released, counted = -hold.reserved_nano, cost_nano - hold.committed_nano
        BudgetWindow.objects.change(
            {"reserved_nano": Plus(released), "committed_nano": Plus(counted)}, id=hold.window_id
        )


_holds = Hold.objects.prepare_select(
    lambda holds: holds.filter(attempt_id=Parameter("attempt_id", "attempt")).order_by("window_id")
)


def split_from_openings(attempt: Attempt, counted_nano: int) -> None:
    """Give a call a hold in each window that has it in its opening sum, with the amount it counts there.

    For a cost that changes after it was booked: `close` then finds the hold. The caller has locked the attempt's row.
    """
    windows = BudgetWindow.objects.filter(_counted_by_opening(attempt), budget__in=budgets_counting(attempt))
    for window in windows.exclude(holds__attempt=attempt).order_by("id"):
        _hold(attempt, window, committed_nano=counted_nano).save(force_insert=True)
        BudgetWindow.objects.filter(id=window.id).update(opening_nano=F("opening_nano") - counted_nano)


def _counted_by_opening(attempt: Attempt) -> Q:
    """Windows that have the call in their opening sum: those that cover its booking, unless an earlier window holds it.

    After a window of another calendar, the sum has every call that was booked or admitted in the time they share.
    """
    booked_at = LedgerEntry.objects.filter(attempt=attempt).aggregate(at=Min("at"))["at"] or attempt.created_at
    holds = Hold.objects.filter(attempt=attempt, window__budget=OuterRef("budget"))
    overlapping = BudgetWindow.objects.filter(
        budget=OuterRef("budget"), starts_at__lt=OuterRef("starts_at"), ends_at__gt=OuterRef("starts_at")
    )
    booked, admitted = _covers(booked_at), _covers(attempt.created_at)
    return (booked & ~Exists(holds)) | ((booked | admitted) & Exists(overlapping))


def _covers(instant: datetime) -> Q:
    counts_from = Q(budget__counts_from=None) | Q(budget__counts_from__lte=instant)
    return Q(counts_from, starts_at__lte=instant, opened_to__gt=instant)


def _hold(attempt: Attempt, window: BudgetWindow, *, reserved_nano: int = 0, committed_nano: int = 0) -> Hold:
    return Hold(
        organization_id=attempt.organization_id,
        attempt=attempt,
        window=window,
        reserved_nano=reserved_nano,
        committed_nano=committed_nano,
    )


def _add(each: OpenWindow, bound: int) -> bool:
    if not bound:  # a free call fits everywhere
        return True
    return bool(_reserve.run(id=each.window.id, bound=bound, increase=each.increase_nano))


def _if_it_fits(windows: QuerySet[BudgetWindow]) -> QuerySet[BudgetWindow]:
    limit = F("limit_nano") + Parameter("increase", "limit_nano")
    fits = Q(committed_nano__lte=limit - F("reserved_nano") - Parameter("bound", "reserved_nano"))
    return windows.filter(Q(enforcement=Enforcement.WARN) | fits, id=Parameter("id"))


_reserve = BudgetWindow.objects.prepare_update(
    _if_it_fits, reserved_nano=F("reserved_nano") + Parameter("bound", "reserved_nano")
)


def _add_after_refresh(each: OpenWindow, bound: int) -> bool:
    """Calls of the previous window may have ended since, and their unused amounts make room here."""
    return each.window.carries_at_most_nano > 0 and refresh_rollover(each.window) and _add(each, bound)


def _refusal(each: OpenWindow, bound: int) -> BudgetRefusedError:
    """Busy only if the call would fit once all others had ended at no cost."""
    window = BudgetWindow.objects.get(id=each.window.id)
    limit = window.limit_nano + each.increase_nano
    budget = each.window.budget
    free = limit - window.committed_nano
    if bound > free:
        record_refusal(window.id, bound)
        left = f"${dollars(max(0, free))} of ${dollars(limit)} left"
        message = f"The {budget} has {left}, and this call can cost up to ${dollars(bound)}."
        return BudgetExceededError(budget, bound, free, message)
    message = f"Calls in progress hold the rest of the {budget} (${dollars(limit)}). Try again in a moment."
    return BudgetBusyError(budget, bound, free - window.reserved_nano, message)

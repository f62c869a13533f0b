"""Opens windows: every period of a budget in order, each with what it has already cost according to the ledger.

So it makes no difference who opens a window, when, or whether anyone looked during earlier periods. From
`Budget.holds_since`, calls are counted by their holds; everything older, and the part of a period that a window of
another calendar has counted, comes from the ledger.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import F, Sum

from cost_app.budgets.rollover import carried_over, max_carry_over
from cost_app.budgets.scopes import Scope, scope_of
from cost_app.budgets.spending import booked_late, held_between, spent_between
from cost_app.calendar import Calendar, Period
from cost_app.ledger.rollups import usage_calendar
from cost_app.models import Attempt, AttemptState, Budget, BudgetWindow, Hold
from cost_app.policy import policy_of, zone_of

UNDER_WAY = (AttemptState.RESERVED, AttemptState.DISPATCHED)


def open_windows(budget: Budget, now: datetime) -> BudgetWindow:
    """Open the windows from the end of the newest one to that of `now`; returns the newest.

    If the clock went back, that is a window already open. A new calendar begins with the next window.
    """
    newest = BudgetWindow.objects.filter(budget=budget).order_by("-ends_at").first()
    if newest and newest.ends_at > now:
        return newest
    calendar = calendar_for(budget.organization_id)
    while newest is None or newest.ends_at <= now:
        starts_at, ends_at = calendar.bounds(Period(budget.period), newest.ends_at if newest else now)
        newest = _open(budget, newest, starts_at, ends_at)
    return newest


def calendar_for(organization_id: int) -> Calendar:
    """The current calendar of the organization's budgets."""
    return Calendar(zone_of(organization_id), policy_of(organization_id).month_starts_on)


def _open(budget: Budget, before: BudgetWindow | None, starts_at: datetime, ends_at: datetime) -> BudgetWindow:
    """Open one window; of several concurrent processes, one creates it."""
    until = counted_to(budget, before, starts_at, ends_at)
    if until is None:
        return _make(budget, before, starts_at, ends_at)
    with transaction.atomic():
        usage_calendar(budget.organization_id)  # a lock: of several processes one counts
        made = BudgetWindow.objects.filter(budget=budget, starts_at=starts_at).first()
        if made:
            return _extended(made, ends_at)
        window = _make(budget, before, starts_at, ends_at)
        _count_from_the_ledger(budget, before, window, until)
        window.refresh_from_db()  # the next window carries over what is left of this one
        return window


def _extended(window: BudgetWindow, ends_at: datetime) -> BudgetWindow:
    """A period that a new time zone ends later, for example because of daylight saving time, is extended."""
    BudgetWindow.objects.filter(id=window.id, ends_at__lt=ends_at).update(ends_at=ends_at)
    window.refresh_from_db()
    return window


def _make(budget: Budget, before: BudgetWindow | None, starts_at: datetime, ends_at: datetime) -> BudgetWindow:
    most = max_carry_over(budget)
    rollover = carried_over(before, most)
    window = BudgetWindow(
        organization_id=budget.organization_id,
        budget=budget,
        starts_at=starts_at,
        ends_at=ends_at,
        limit_nano=budget.limit_nano + rollover,
        rollover_nano=rollover,
        carries_at_most_nano=most,
        enforcement=budget.enforcement,
    )
    BudgetWindow.objects.bulk_create([window], ignore_conflicts=True)
    return BudgetWindow.objects.get(budget=budget, starts_at=starts_at)


def counted_to(budget: Budget, before: BudgetWindow | None, starts_at: datetime, ends_at: datetime) -> datetime | None:
    """Until when the ledger counts in a new window instead of holds; None if all of its calls have one."""
    ends = [before.ends_at] if before else []
    if budget.holds_since:
        ends.append(budget.holds_since)
    until = min(max(ends, default=starts_at), ends_at)
    return until if until > starts_at else None


def first_counted(budget: Budget, starts_at: datetime) -> datetime:
    """When spending starts to count in a window."""
    return max(starts_at, budget.counts_from) if budget.counts_from else starts_at


def _count_from_the_ledger(budget: Budget, before: BudgetWindow | None, window: BudgetWindow, until: datetime) -> None:
    scope = scope_of(budget.scope, budget.scope_value)
    begin = first_counted(budget, window.starts_at)
    adopt_open_calls(budget, window, scope, until)
    opening = spent_between(budget.organization_id, scope, begin, until)
    if before and before.ends_at > window.starts_at:
        opening += booked_late(scope, (begin, until), until)
    elif before:
        opening -= held_between(budget.id, begin, until)
    _add_opening(window, opening, until)


def count_gap(budget: Budget, removed_at: datetime, now: datetime) -> None:
    """Add spending between the removal of the budget and now, when nothing was reserved, to its windows."""
    scope = scope_of(budget.scope, budget.scope_value)
    usage_calendar(budget.organization_id)  # its lock goes before those of calls, as in `_open`
    for window in BudgetWindow.objects.filter(budget=budget, ends_at__gt=removed_at, starts_at__lt=now).order_by("id"):
        begin = max(first_counted(budget, window.starts_at), removed_at)
        end = min(window.ends_at, now)
        adopt_open_calls(budget, window, scope, end)
        spent = spent_between(budget.organization_id, scope, begin, end) - held_between(budget.id, begin, end)
        _add_opening(window, spent, end)


def _add_opening(window: BudgetWindow, nano: int, until: datetime) -> None:
    BudgetWindow.objects.filter(id=window.id).update(
        opening_nano=F("opening_nano") + nano, committed_nano=F("committed_nano") + nano, opened_to=until
    )


def adopt_open_calls(budget: Budget, window: BudgetWindow, scope: Scope, until: datetime) -> None:
    """Reserve what calls in progress may still cost, so that their cost is counted here too.

    Locks the calls before the window, as ending a call does. Goes before the ledger is summed: a call that ends between
    the two is then counted by its hold or by the sum.
    """
    begin = first_counted(budget, window.starts_at)
    calls = Attempt.objects.filter(
        organization_id=budget.organization_id, created_at__gte=begin, created_at__lt=until, state__in=UNDER_WAY
    ).exclude(holds__window=window)
    under_way = scope.chosen(calls.order_by("id").select_for_update(of=("self",)))
    Hold.objects.bulk_create(
        [
            Hold(organization_id=call.organization_id, attempt=call, window=window, reserved_nano=call.bound_nano)
            for call in under_way
        ]
    )
    held = Hold.objects.filter(window=window).aggregate(nano=Sum("reserved_nano", default=0))["nano"]
    BudgetWindow.objects.filter(id=window.id).update(reserved_nano=held)

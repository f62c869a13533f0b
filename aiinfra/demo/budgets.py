"""Three budgets for the demo company, with windows since the beginning of its history."""

from datetime import datetime, timedelta
from itertools import pairwise

from django.db import connection, transaction
from django.db.models import F, Sum

from aiinfra.demo.profiles import KEY_NAMES, RESEARCH, RESEARCH_TAG, WEBSITE
from aiinfra.money import NANO
from cost_app.budgets.manage import set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.calendar import Calendar, Period
from cost_app.models import (
    Attempt,
    Budget,
    BudgetPeriod,
    BudgetScope,
    BudgetWindow,
    Dimension,
    Enforcement,
    Hold,
    UsageDay,
)
from cost_app.policy import policy_of, zone_of

LOOKBACK = timedelta(days=30)
Limits = list[tuple[BudgetTerms, list[str]]]
"""Terms, and the names of the keys whose calls the budget counts."""


def make_budgets(organization_id: int, *, now: datetime, days: int, key_ids: dict[str, int], actor: str) -> int:
    """Create a monthly organization budget that warns, a daily budget for the website's key that blocks, and a weekly
    tag budget that is idle.

    The limits fit the spending. Existing budgets are left unchanged. Returns how many were created.
    """
    calendar = Calendar(zone_of(organization_id), policy_of(organization_id).month_starts_on)
    made = 0
    for terms, names in _limits(organization_id, now, key_ids):
        if _exists(terms):
            continue
        with transaction.atomic():
            budget = set_budget(organization_id=organization_id, terms=terms, actor=actor, from_now=True)
            counted = [key_ids[name] for name in names]
            first = _open_windows(budget, calendar, now, now - timedelta(days=days), counted)
            Budget.objects.filter(pk=budget.pk).update(created_at=first, counts_from=None, holds_since=None)
        made += 1
    return made


def _limits(organization_id: int, now: datetime, key_ids: dict[str, int]) -> Limits:
    since = (now - LOOKBACK).date()

    def spent(dimension: Dimension, value: str) -> int:
        days = UsageDay.objects.filter(organization_id=organization_id, dimension=dimension, value=value)
        total: int = days.filter(day__gte=since).aggregate(nano=Sum("nano", default=0))["nano"]
        return total

    month = BudgetTerms(BudgetPeriod.MONTHLY, _round(spent(Dimension.TOTAL, "") * 11 // 10))
    website = spent(Dimension.API_KEY, str(key_ids[WEBSITE]))
    day = BudgetTerms(
        BudgetPeriod.DAILY,
        _round(website * 2 // LOOKBACK.days),
        enforcement=Enforcement.BLOCK,
        scope=BudgetScope.API_KEY,
        scope_value=str(key_ids[WEBSITE]),
    )
    week = BudgetTerms(
        BudgetPeriod.WEEKLY,
        _round(spent(Dimension.TAG, RESEARCH_TAG) * 10),
        scope=BudgetScope.TAG,
        scope_value=RESEARCH_TAG,
    )
    return [(month, list(KEY_NAMES)), (day, [WEBSITE]), (week, [RESEARCH])]


def _round(nano: int) -> int:
    """Round up to a whole dollar."""
    return -(-max(nano, 1) // NANO) * NANO


def _exists(terms: BudgetTerms) -> bool:
    same = Budget.objects.filter(period=terms.period, scope=terms.scope, scope_value=terms.scope_value)
    return same.exists()


def _open_windows(budget: Budget, calendar: Calendar, now: datetime, since: datetime, key_ids: list[int]) -> datetime:
    """Open every window from `since` to now, with the cost of the keys' calls; returns the start of the first one."""
    edges = _edges(calendar, Period(budget.period), calendar.bounds(Period(budget.period), since)[0], now)
    for starts_at, ends_at in pairwise(edges):
        window, _ = BudgetWindow.objects.get_or_create(
            budget=budget,
            starts_at=starts_at,
            defaults={
                "organization_id": budget.organization_id,
                "ends_at": ends_at,
                "limit_nano": budget.limit_nano,
                "enforcement": budget.enforcement,
            },
        )
        _hold_calls(window, key_ids)
    return edges[0]


def _edges(calendar: Calendar, period: Period, first: datetime, now: datetime) -> list[datetime]:
    day = calendar.day_of(first)
    edges = [first]
    while edges[-1] <= now:
        day = calendar.next_first_day(period, day)
        edges.append(calendar.begin_of(day))
    return edges


def _hold_calls(window: BudgetWindow, key_ids: list[int]) -> None:
    """Count the keys' calls during the window in it, in two statements: a call's hold stores its cost."""
    calls = Attempt.objects.filter(
        organization_id=window.organization_id,
        created_at__gte=window.starts_at,
        created_at__lt=window.ends_at,
        api_key_id__in=key_ids,
    )
    source, parameters = calls.order_by().values_list("pk", "cost_nano").query.sql_with_params()
    sql = (
        f"INSERT INTO {Hold._meta.db_table} (organization_id, window_id, reserved_nano, attempt_id, committed_nano) "  # noqa: S608
        f"SELECT %s, %s, 0, calls.* FROM ({source}) AS calls"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [window.organization_id, window.pk, *parameters])
    spent = calls.aggregate(nano=Sum("cost_nano", default=0))["nano"]
    BudgetWindow.objects.filter(pk=window.pk).update(committed_nano=F("committed_nano") + spent)

"""Budgets that are hardly used."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from cost_app.budgets.names import BudgetName, budget_names
from cost_app.calendar import Calendar, Period
from cost_app.models import Budget, BudgetWindow, RecommendationKind
from cost_app.policy import policy_of, zone_of
from cost_app.recommendations.sample import Finding, Sample, figure

WINDOWS = 3
IDLE_PERCENT = 10


def idle_budgets(sample: Sample) -> Iterator[Finding]:
    """Each active budget of which less than 10% was used in every one of its last three whole periods."""
    calendar = Calendar(zone_of(sample.organization_id), policy_of(sample.organization_id).month_starts_on)
    budgets = Budget.objects.filter(organization_id=sample.organization_id, is_active=True, limit_nano__gt=0).order_by(
        "id"
    )
    names = budget_names(budgets)
    for budget in budgets:
        periods = _last_periods(calendar, Period(budget.period), sample.now)
        if budget.created_at <= periods[0][0]:
            used = _used(budget, periods)
            if max(used) * 100 < budget.limit_nano * IDLE_PERCENT:
                yield _finding(budget, names[budget.id], used)


def _last_periods(calendar: Calendar, period: Period, now: datetime) -> list[tuple[datetime, datetime]]:
    """Start and end of the last three whole periods, oldest first."""
    ends = [calendar.first_day(period, calendar.day_of(now))]
    for _ in range(WINDOWS):
        ends.insert(0, calendar.previous_first_day(period, ends[0]))
    begins = [calendar.begin_of(day) for day in ends]
    return list(pairwise(begins))


def _used(budget: Budget, periods: list[tuple[datetime, datetime]]) -> list[int]:
    """Spending in each period; a period without calls has no window."""
    windows = BudgetWindow.objects.filter(budget=budget, starts_at__gte=periods[0][0], starts_at__lt=periods[-1][1])
    spent = list(windows.values_list("starts_at", "committed_nano"))
    return [sum(nano for starts_at, nano in spent if begin <= starts_at < end) for begin, end in periods]


def _finding(budget: Budget, name: BudgetName, used: list[int]) -> Finding:
    return Finding(
        kind=RecommendationKind.IDLE_BUDGET,
        subject=str(budget.id),
        title=f"Lower or remove the {name.in_text}",
        description=(
            "Less than 10% of it was used in each of its last three periods. A limit so far above actual spending "
            "does not catch accidents. Lowering it saves nothing directly."
        ),
        saving_nano=None,
        examined=None,
        bearing=0,
        difficulty="easy",
        formula="In each of the last three whole periods, spending is less than 10% of the limit. The saving is 0.",
        steps=[
            "Ask the owner of the budget: an emergency reserve may be idle on purpose.",
            "On the budgets page, lower its limit to about twice the highest spending, or remove it.",
        ],
        figures=[
            figure("limit", budget.limit_nano, "nano"),
            *[figure(f"used, {WINDOWS - number} periods ago", nano, "nano") for number, nano in enumerate(used)],
            figure("unused limit", budget.limit_nano - max(used), "nano"),
        ],
    )

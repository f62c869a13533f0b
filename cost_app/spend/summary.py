"""A summary of the month to date."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.utils import timezone

from cost_app.budgets.windows import OpenWindow, windows_now
from cost_app.calendar import Period
from cost_app.models import BudgetPeriod, BudgetScope, Dimension
from cost_app.spend.forecast import Forecast, forecast
from cost_app.spend.series import Breakdown, Totals, breakdown, calendar_of, totals_between


@dataclass(frozen=True)
class Summary:
    """The current fiscal month from `first` to before `end`; `forecast` is None without enough data."""

    first: date
    end: date
    totals: Totals
    forecast: Forecast | None
    budgets: Sequence[OpenWindow]
    by_provider: Breakdown
    by_model: Breakdown

    @property
    def month_budget(self) -> OpenWindow | None:
        """The organization's own monthly budget."""
        whole = (BudgetScope.ORGANIZATION, BudgetPeriod.MONTHLY)
        return next(
            (each for each in self.budgets if (each.window.budget.scope, each.window.budget.period) == whole), None
        )

    @property
    def budget_counts_the_month(self) -> bool:
        """Whether the budget has counted the whole cost of the month, so that one figure can show both."""
        found = self.month_budget
        return found is not None and found.window.committed_nano == self.totals.nano


def summary(organization_id: int, now: datetime | None = None) -> Summary:
    """A bounded number of queries, whatever the organization has spent."""
    now = now or timezone.now()
    calendar = calendar_of(organization_id)
    first = calendar.first_day(Period.MONTHLY, calendar.day_of(now))
    end = calendar.next_first_day(Period.MONTHLY, first)
    return Summary(
        first=first,
        end=end,
        totals=totals_between(organization_id, first, end),
        forecast=forecast(organization_id, calendar, first, end, now),
        budgets=windows_now(organization_id, now),
        by_provider=breakdown(organization_id, Dimension.PROVIDER, first, end),
        by_model=breakdown(organization_id, Dimension.MODEL, first, end),
    )

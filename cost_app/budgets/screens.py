"""Data for the budget pages. Amounts are nano-dollars, bars are integer thousandths of the limit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils import timezone

from aiinfra.plurals import plural
from aiinfra.templatetags.formats import money_places
from aiinfra.tenants.audit import audit_events
from aiinfra.tenants.audit_sentences import Sentence, sentence
from cost_app.budgets.manage import audit_prefix
from cost_app.budgets.names import BudgetName, budget_names
from cost_app.budgets.windows import OpenWindow, windows_now
from cost_app.calendar import ONE_DAY, Calendar
from cost_app.models import Budget, BudgetIncrease, BudgetPeriod, BudgetScope, BudgetWindow, Enforcement, Hold
from cost_app.policy import zone_of
from cost_app.spend.forecast import forecast

MS = timedelta(milliseconds=1)
FULL = 1_000
WINDOWS_SHOWN, INCREASES_SHOWN, HOLDS_SHOWN, EVENTS_SHOWN, REMOVED_SHOWN = 24, 20, 50, 20, 50
ORDER_OF_SCOPES = BudgetScope.values
ORDER_OF_PERIODS = BudgetPeriod.values
SHORT_ENFORCEMENT = {Enforcement.WARN: "warns", Enforcement.BLOCK: "blocks", Enforcement.DOWNGRADE: "downgrades"}


@dataclass(frozen=True)
class BudgetUsage:
    """How much of a window's limit is spent and reserved."""

    limit_nano: int
    spent_nano: int
    held_nano: int

    @property
    def free_nano(self) -> int:
        """What is left; negative if the limit was cut or a warning budget was exceeded."""
        return self.limit_nano - self.spent_nano - self.held_nano

    @property
    def over_nano(self) -> int:
        """By how much spending and reservations exceed the limit."""
        return max(0, -self.free_nano)

    @property
    def percent(self) -> int:
        """The spent share of the limit, rounded down; 100 if the limit is 0."""
        return self.spent_nano * 100 // self.limit_nano if self.limit_nano > 0 else 100

    @property
    def spent_bar(self) -> int:
        """Width of the spent part of the bar."""
        return self._thousandths(self.spent_nano)

    @property
    def held_bar(self) -> int:
        """Width of the reserved part of the bar, next to it."""
        return self._thousandths(self.spent_nano + self.held_nano) - self.spent_bar

    def _thousandths(self, nano: int) -> int:
        return max(0, min(FULL, nano * FULL // self.limit_nano)) if self.limit_nano > 0 else FULL


@dataclass(frozen=True)
class BudgetRow:
    """A budget with its current window."""

    name: BudgetName
    open: OpenWindow

    @property
    def budget(self) -> Budget:
        """The budget itself."""
        return self.name.budget

    @property
    def window(self) -> BudgetWindow:
        """The current window."""
        return self.open.window

    @property
    def usage(self) -> BudgetUsage:
        """Usage of the current limit."""
        return BudgetUsage(self.open.limit_nano, self.window.committed_nano, self.window.reserved_nano)

    @property
    def tone(self) -> str:
        """bad at or above the alert threshold, warn at or above the warning threshold, otherwise empty."""
        percent = self.usage.percent
        if self.open.is_refusing:
            return "bad"
        return (
            "bad" if percent >= self.budget.alert_percent else "warn" if percent >= self.budget.warning_percent else ""
        )

    @property
    def state(self) -> str:
        """The same in words, for those who cannot see colors."""
        if self.open.is_refusing:
            return "refusing"
        if self.usage.percent >= 100:
            return "used up"
        return {"bad": "above the alert threshold", "warn": "above the warning threshold"}.get(self.tone, "")

    @property
    def refused(self) -> str:
        """How many calls of this period did not fit."""
        return f"{plural(self.window.refused_calls, 'call')} refused"

    @property
    def warning_mark(self) -> int:
        """Position of the warning threshold on the bar."""
        return self.budget.warning_percent * FULL // 100

    @property
    def alert_mark(self) -> int:
        """Position of the alert threshold on the bar."""
        return self.budget.alert_percent * FULL // 100

    @property
    def enforcement(self) -> str:
        """The enforcement, in a word."""
        return SHORT_ENFORCEMENT[Enforcement(self.window.enforcement)]


@dataclass(frozen=True)
class PastWindow:
    """A window that is over."""

    window: BudgetWindow

    @property
    def usage(self) -> BudgetUsage:
        """Usage of the base limit, without temporary increases."""
        return BudgetUsage(self.window.limit_nano, self.window.committed_nano, self.window.reserved_nano)


@dataclass(frozen=True)
class IncreaseRow:
    """A temporary increase and whether it applies now."""

    increase: BudgetIncrease

    @property
    def is_in_effect(self) -> bool:
        """Whether it raises the limit now."""
        return self.increase.withdrawn_at is None and self.increase.expires_at > timezone.now()

    @property
    def state(self) -> str:
        """in effect, withdrawn or expired."""
        return "in effect" if self.is_in_effect else "withdrawn" if self.increase.withdrawn_at else "expired"


@dataclass(frozen=True)
class BudgetDetail:
    """Everything the page of one budget shows besides its charts; `row` is None for a removed budget."""

    name: BudgetName
    row: BudgetRow | None
    past: Sequence[PastWindow]
    increases: Sequence[IncreaseRow]
    events: Sequence[Sentence]
    runs_out_on: date | None


def budget_rows(organization_id: int) -> list[BudgetRow]:
    """The active budgets, widest scope first: three queries, whatever their number."""
    opened = windows_now(organization_id)
    names = budget_names([each.window.budget for each in opened])
    rows = [BudgetRow(names[each.window.budget_id], each) for each in opened]
    return sorted(rows, key=lambda row: _order(row.name))


def places_of(rows: Iterable[BudgetRow]) -> int:
    """The decimals of all amounts in the list of budgets; reservations come and go, so they do not count."""
    return money_places(nano for row in rows for nano in (row.usage.limit_nano, row.usage.spent_nano))


def removed_budgets() -> list[BudgetName]:
    """The most recently removed budgets of the organization in scope."""
    removed = Budget.objects.filter(is_active=False).order_by("-updated_at")[:REMOVED_SHOWN]
    return list(budget_names(removed).values())


def budget_row(budget: Budget) -> BudgetRow | None:
    """One active budget with its current window; None if it was removed."""
    opened = [each for each in windows_now(budget.organization_id) if each.window.budget_id == budget.id]
    return BudgetRow(budget_names([budget])[budget.id], opened[0]) if opened else None


def budget_detail(budget: Budget, *, with_events: bool) -> BudgetDetail:
    """One budget; its audit events only for users who may read them."""
    increases = BudgetIncrease.objects.filter(budget=budget).order_by("-id")[:INCREASES_SHOWN]
    events = audit_events(verb="budget.").filter(target__startswith=audit_prefix(budget))
    row = budget_row(budget)
    return BudgetDetail(
        name=row.name if row else budget_names([budget])[budget.id],
        row=row,
        past=past_windows(budget, WINDOWS_SHOWN),
        increases=[IncreaseRow(increase) for increase in increases],
        events=[sentence(event) for event in events[:EVENTS_SHOWN]] if with_events else [],
        runs_out_on=run_out_day(row) if row else None,
    )


def past_windows(budget: Budget, number: int) -> list[PastWindow]:
    """The past windows of a budget, newest first; all windows of a removed budget."""
    past = BudgetWindow.objects.filter(budget=budget)
    if budget.is_active:
        past = past.filter(ends_at__lte=timezone.now())
    return [PastWindow(window) for window in past.order_by("-starts_at")[:number]]


def run_out_day(row: BudgetRow) -> date | None:
    """The day in the current period on which the limit is expected to be reached; None if it is not, or without a
    forecast. Two queries.

    The forecast is of all spending from the beginning of the period, so it applies only to the organization's own
    budgets, not to daily ones, and not before their first whole period.
    """
    budget, window = row.budget, row.window
    is_whole = budget.scope == BudgetScope.ORGANIZATION and budget.created_at <= window.starts_at
    if not is_whole or budget.period == BudgetPeriod.DAILY or row.usage.free_nano <= 0:
        return None
    calendar = Calendar(zone_of(window.organization_id))
    first, end = calendar.day_of(window.starts_at), calendar.day_of(window.ends_at - MS) + ONE_DAY
    expected = forecast(window.organization_id, calendar, first, end)
    return expected.runs_out_on(row.usage.limit_nano) if expected else None


def open_holds(window: BudgetWindow) -> list[Hold]:
    """Reservations of calls in progress in a window, largest first; no query if nothing is reserved."""
    if not window.reserved_nano:
        return []
    held = Hold.objects.filter(window=window, reserved_nano__gt=0).select_related("attempt__api_key")
    return list(held.order_by("-reserved_nano", "id")[:HOLDS_SHOWN])


def last_day_of(window: BudgetWindow) -> date:
    """The last day of a window on the organization's calendar, in the active time zone."""
    return timezone.localtime(window.ends_at - MS).date()


def _order(name: BudgetName) -> tuple[int, str, int]:
    budget = name.budget
    return ORDER_OF_SCOPES.index(budget.scope), name.subject, ORDER_OF_PERIODS.index(budget.period)

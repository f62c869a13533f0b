"""The charts of a budget, and their tables."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import plotly.graph_objects as go
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from aiinfra.charts import Chart
from aiinfra.tenants.models import Organization, User
from cost_app.budgets import figures
from cost_app.budgets.manage import remove_budget
from cost_app.budgets.screens import BudgetRow, budget_row
from cost_app.models import Budget, BudgetWindow, UsageDay, UsageHour
from tests.cost_app.budgets.conftest import NOON
from tests.cost_app.budgets.test_windows import DAY, MakeBudget

DOLLAR = 1_000_000_000
HTMX = {"HX-Request": "true"}
Clock = Callable[[datetime], None]


@pytest.fixture(autouse=True)
def in_berlin(scoped: Organization, clock: Clock) -> Iterator[None]:
    """Uses the organization's time zone, as the middleware does. It is 13:00 on Tuesday, March 10."""
    with timezone.override(ZoneInfo("Europe/Berlin")):
        yield


def row_of(budget: Budget, *, committed: int = 0) -> BudgetRow:
    """The budget's row, with this much spent in its current window."""
    row = budget_row(budget)
    assert row is not None
    BudgetWindow.objects.filter(id=row.window.id).update(committed_nano=committed)
    row = budget_row(budget)
    assert row is not None
    return row


def spent_on(organization: Organization, day: int, nano: int, dimension: str = "total", value: str = "") -> None:
    UsageDay.objects.create(
        organization=organization, dimension=dimension, value=value, day=date(2026, 3, day), nano=nano
    )


def trace(chart: Chart, name: str) -> dict[str, Any]:
    (found,) = [each for each in chart.figure["data"] if each["name"] == name]
    return dict(found)


def test_monthly_budget_burns_down_by_day_to_the_remaining_amount(
    scoped: Organization, make_budget: MakeBudget
) -> None:
    budget = make_budget(period="monthly", limit_nano=100 * DOLLAR)
    spent_on(scoped, 1, 10 * DOLLAR)
    spent_on(scoped, 9, 20 * DOLLAR)
    spent_on(scoped, 10, 5 * DOLLAR)
    chart = figures.burn_down(row_of(budget, committed=35 * DOLLAR))
    left = trace(chart, "left")
    assert left["y"] == ["100.00", *["90.00"] * 8, "70.00", "65.00"]
    assert left["x"][:2] == ["2026-03-01T00:00:00", "2026-03-02T00:00:00"]
    assert left["x"][-1] == "2026-03-10T13:00:00"
    pace = trace(chart, "even pace")
    assert (pace["x"], pace["y"]) == (["2026-03-01T00:00:00", "2026-04-01T00:00:00"], ["100.00", "0.00"])
    assert chart.table.rows[0][:3] == ["Mar 10, 13:00", "$5.00", "$65.00"]
    assert chart.table.rows[-1][:3] == ["Mar 2, 00:00", "$10.00", "$90.00"]
    assert len(chart.table.rows) == 10


def test_daily_budget_burns_down_by_hour(scoped: Organization, make_budget: MakeBudget) -> None:
    budget = make_budget(period="daily", limit_nano=10 * DOLLAR)
    for hour, nano in ((23, DOLLAR), (0, 2 * DOLLAR), (11, 4 * DOLLAR)):
        at = datetime(2026, 3, 9 if hour == 23 else 10, hour, tzinfo=UTC)
        UsageHour.objects.create(organization=scoped, dimension="total", hour=at, nano=nano)
    left = trace(figures.burn_down(row_of(budget, committed=7 * DOLLAR)), "left")
    assert left["y"] == ["10.00", "9.00", *["7.00"] * 11, "3.00"]
    assert left["x"][1] == "2026-03-10T01:00:00"


def test_day_of_the_spring_clock_change_has_23_hours(
    scoped: Organization, make_budget: MakeBudget, clock: Clock
) -> None:
    clock(datetime(2026, 3, 29, 21, 30, tzinfo=UTC))
    chart = figures.burn_down(row_of(make_budget(period="daily")))
    shown = [label for _, label in trace(chart, "left")["customdata"]]
    assert shown[:4] == [f"Mar 29, 0{hour}:00" for hour in (0, 1, 3, 4)]
    assert (len(shown), shown[-1]) == (24, "Mar 29, 23:30")
    axis = chart.figure["layout"]["xaxis"]
    assert axis["range"] == ["2026-03-29T00:00:00", "2026-03-29T23:00:00"]
    assert axis["unifiedhovertitle"] == {"text": "Mar 29, 2026"}
    go.Figure(_with_a_color(chart.figure))
    assert (axis["ticktext"][1], axis["tickvals"][1]) == ("03:00", "2026-03-29T02:00:00")


@pytest.mark.parametrize(
    ("zone", "day", "hours", "repeated"),
    [("Europe/Berlin", "2026-10-25", 25, "02:00"), ("Australia/Lord_Howe", "2026-04-05", 24.5, "01:30")],
)
def test_repeated_hour_of_a_clock_change_has_its_own_position_and_label(
    scoped: Organization, make_budget: MakeBudget, clock: Clock, zone: str, day: str, hours: float, repeated: str
) -> None:
    scoped.time_zone = zone
    scoped.save(update_fields=["time_zone"])
    with timezone.override(ZoneInfo(zone)):
        clock(datetime.fromisoformat(f"{day}T22:45").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC))
        chart = figures.burn_down(row_of(make_budget(period="daily")))
    left, pace = trace(chart, "left"), trace(chart, "even pace")
    begin, end = map(datetime.fromisoformat, pace["x"])
    assert end - begin == timedelta(hours=hours)
    assert left["x"] == sorted(set(left["x"]))
    labels = [row[0] for row in chart.table.rows]
    assert len(set(labels)) == len(labels)
    assert any(f", {repeated} UTC+" in label for label in labels)
    assert [label for _, label in left["customdata"][1:]] == labels[::-1]


@pytest.mark.parametrize(
    ("scope", "value"), [("user", "ada"), ("model", "openai/gpt-4"), ("tag", "red"), ("api_key", "7")]
)
def test_burn_down_uses_only_spending_of_the_scope(
    scoped: Organization, make_budget: MakeBudget, scope: str, value: str
) -> None:
    budget = make_budget(period="weekly", scope=scope, scope_value=value, limit_nano=10 * DOLLAR)
    spent_on(scoped, 9, 8 * DOLLAR)
    spent_on(scoped, 9, 3 * DOLLAR, scope, value)
    spent_on(scoped, 9, 5 * DOLLAR, scope, "another")
    left = trace(figures.burn_down(row_of(budget, committed=3 * DOLLAR)), "left")
    assert left["y"] == ["10.00", "7.00", "7.00"]


def test_spending_before_the_budget_was_set_is_not_drawn(scoped: Organization, make_budget: MakeBudget) -> None:
    budget = make_budget(period="monthly", limit_nano=100 * DOLLAR)
    for day in (1, 5, 9):
        spent_on(scoped, day, 10 * DOLLAR)
    left = trace(figures.burn_down(row_of(budget, committed=12 * DOLLAR)), "left")
    assert left["y"] == ["100.00"] * 5 + ["98.00"] * 4 + ["88.00", "88.00"]


def test_corrections_of_uncounted_calls_are_not_drawn(scoped: Organization, make_budget: MakeBudget) -> None:
    budget = make_budget(period="monthly", limit_nano=100 * DOLLAR)
    for day, dollars in ((1, 10), (9, 2), (10, -11)):
        spent_on(scoped, day, dollars * DOLLAR)
    chart = figures.burn_down(row_of(budget, committed=2 * DOLLAR))
    left = [float(amount) for amount in trace(chart, "left")["y"]]
    assert left == sorted(left, reverse=True)
    assert (left[0], left[-1]) == (100, 98)
    assert {row[1] for row in chart.table.rows} == {"$0.00", "$2.00"}


def test_other_periods_are_not_counted(scoped: Organization, make_budget: MakeBudget) -> None:
    """Not even if a correction made one of them negative."""
    month, today = (make_budget(period=period, limit_nano=10 * DOLLAR) for period in ("monthly", "daily"))
    for day, nano in ((date(2026, 2, 28), -DOLLAR), (date(2026, 3, 9), DOLLAR), (date(2026, 4, 1), DOLLAR)):
        UsageDay.objects.create(organization=scoped, dimension="total", day=day, nano=nano)
    for hour, nano in ((22, -DOLLAR), (23, DOLLAR)):
        at = datetime(2026, 3, 9, hour, tzinfo=UTC)
        UsageHour.objects.create(organization=scoped, dimension="total", hour=at, nano=nano)
    left = [trace(figures.burn_down(row_of(each, committed=DOLLAR)), "left")["y"] for each in (month, today)]
    assert left == [["10.00"] * 9 + ["9.00"] * 2, ["10.00"] + ["9.00"] * 13]


def test_overspending_is_drawn_below_zero(make_budget: MakeBudget) -> None:
    row = row_of(make_budget(period="monthly", limit_nano=0), committed=DOLLAR)
    assert trace(figures.burn_down(row), "left")["y"][-1] == "-1.00"


def add_window(budget: Budget, days_ago: int, spent: int, limit: int = 10) -> None:
    begin = NOON - timedelta(hours=13, days=days_ago)
    BudgetWindow.objects.create(
        organization_id=budget.organization_id,
        budget=budget,
        starts_at=begin,
        ends_at=begin + DAY,
        limit_nano=limit * DOLLAR,
        committed_nano=spent * DOLLAR,
        enforcement="block",
    )


def test_each_period_is_a_bar_and_the_current_one_has_its_own_color(make_budget: MakeBudget) -> None:
    budget = make_budget(limit_nano=20 * DOLLAR)
    add_window(budget, 2, 4)
    add_window(budget, 1, 11)
    chart = figures.history(budget, row_of(budget, committed=DOLLAR))
    spent, current, limit = (trace(chart, name) for name in ("spent", "so far", "limit"))
    assert (spent["x"], spent["y"]) == (["Mar 8, 2026", "Mar 9, 2026"], ["4.00", "11.00"])
    assert (current["x"], current["y"]) == (["Mar 10, 2026"], ["1.00"])
    assert limit["y"] == ["10.00", "10.00", "20.00"]
    assert spent["marker"]["color"] != current["marker"]["color"]
    assert chart.table.rows[0] == ["Mar 10, 2026", "$1.00", "$20.00"]
    assert len(chart.table.rows) == 3


def test_a_removed_budget_keeps_its_history_without_a_burn_down(
    make_budget: MakeBudget, viewer: User, client_of: Callable[[User], Client]
) -> None:
    budget = make_budget()
    add_window(budget, 1, 4)
    remove_budget(budget=budget, actor="user:finance")
    client = client_of(viewer)
    assert client.get(reverse("budget_burn_down", args=[budget.id])).json() == {"data": [], "layout": {}}
    assert "Nothing in this range" in client.get(reverse("budget_burn_down_table", args=[budget.id])).text
    budget.refresh_from_db()
    assert [each["name"] for each in figures.history(budget, None).figure["data"]] == ["spent", "limit"]


def test_figures_are_valid_plotly_figures(make_budget: MakeBudget) -> None:
    budget = make_budget()
    add_window(budget, 1, 4)
    row = row_of(budget)
    for chart in (figures.burn_down(row), figures.history(budget, row)):
        go.Figure(_with_a_color(chart.figure))


def _with_a_color(part: Any) -> Any:
    """Replaces CSS variables with a color, as the page's script does."""
    if isinstance(part, dict):
        return {name: _with_a_color(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_with_a_color(value) for value in part]
    return "red" if isinstance(part, str) and part.startswith("var(") else part


def test_query_count_does_not_grow_with_history(scoped: Organization, make_budget: MakeBudget) -> None:
    budget = make_budget(period="monthly")

    def count() -> list[int]:
        row = row_of(budget)
        counts = []
        for draw in (lambda: figures.burn_down(row), lambda: figures.history(budget, row)):
            with CaptureQueriesContext(connection) as captured:
                draw()
            counts.append(len(captured))
        return counts

    few = count()
    for number in range(1, 10):
        spent_on(scoped, number, DOLLAR)
        add_window(budget, 40 + number, 1)
    assert count() == few == [2, 1]


def test_figures_are_json_and_tables_are_pages_or_partials(
    make_budget: MakeBudget, viewer: User, client_of: Callable[[User], Client]
) -> None:
    budget, client = make_budget(), client_of(viewer)
    for name in ("budget_burn_down", "budget_history"):
        first = client.get(reverse(name, args=[budget.id]))
        assert set(first.json()) == {"data", "layout"}
        again = client.get(reverse(name, args=[budget.id]), headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304
        table = reverse(f"{name}_table", args=[budget.id])
        assert "<html" in client.get(table).text
        part = client.get(table, headers=HTMX).text
        assert "<html" not in part
        assert "<caption" in part

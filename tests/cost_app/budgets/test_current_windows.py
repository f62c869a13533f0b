"""Which windows are current, which ones count a report, and whether they refuse calls."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from cost_app.budgets.windows import OpenWindow, windows_now
from cost_app.ledger.tracking import TrackedCall, track_request
from cost_app.models import BudgetWindow
from tests.cost_app.budgets.conftest import NOON
from tests.cost_app.budgets.test_windows import DAY, MakeBudget

HOUR = timedelta(hours=1)
pytestmark = pytest.mark.usefixtures("clock")


@pytest.mark.parametrize(
    ("changes", "is_refusing"),
    [
        ({}, True),
        ({"committed_nano": 900}, False),
        ({"refused_calls": 0}, False),
        ({"enforcement": "warn"}, False),
        ({"enforcement": "downgrade"}, True),
        ({"reserved_nano": 500, "committed_nano": 900}, False),
        ({"limit_nano": 991}, False),
    ],
)
def test_window_is_refusing_if_the_last_refused_call_would_not_fit(changes: dict[str, Any], is_refusing: bool) -> None:
    columns = {"enforcement": "block", "limit_nano": 990, "committed_nano": 901, "refused_nano": 100}
    window = BudgetWindow(**{**columns, "refused_calls": 1, **changes})
    assert OpenWindow(window, 10).is_refusing == is_refusing


@pytest.fixture
def _no_order_by_index(db: None) -> Iterator[None]:
    """Rows are not in the order of an index by chance, but only if the query says so."""
    if connection.vendor == "sqlite":
        off, on = ["PRAGMA reverse_unordered_selects = ON"], ["PRAGMA reverse_unordered_selects = OFF"]
    else:
        off, on = ([f"SET enable_{scan} = {value}" for scan in ("indexscan", "bitmapscan")] for value in ("off", "on"))
    with connection.cursor() as cursor:
        for statement in off:
            cursor.execute(statement)
        yield
        for statement in on:
            cursor.execute(statement)


@pytest.mark.usefixtures("_no_order_by_index")
def test_of_two_windows_at_the_same_time_the_one_that_ends_later_is_current(
    scoped: Organization, make_budget: MakeBudget
) -> None:
    """A budget has two of them if its calendar has changed. The order of IDs and of starts would give the other."""
    budget = make_budget()
    window = {"organization": scoped, "budget": budget, "limit_nano": 1, "enforcement": "block"}
    later, _ = (
        BudgetWindow.objects.create(**window, starts_at=NOON - hours * HOUR, ends_at=NOON + hours * HOUR)
        for hours in (2, 1)
    )
    assert [each.window.id for each in windows_now(scoped.pk)] == [later.id]


def test_windows_come_with_their_budgets(
    scoped: Organization, make_budget: MakeBudget, django_assert_num_queries: Callable[..., Any]
) -> None:
    budgets = [make_budget(), make_budget(period="weekly")]
    windows_now(scoped.pk)
    windows = windows_now(scoped.pk)
    with django_assert_num_queries(0):
        assert [each.window.budget for each in windows] == budgets


def test_report_counts_only_in_windows_of_its_budgets(scoped: Organization, make_budget: MakeBudget) -> None:
    counting = [make_budget(), make_budget(scope="user", scope_value="ann")]
    make_budget(scope="user", scope_value="bob")
    removed = make_budget(scope="model", scope_value="deepseek/deepseek-chat")
    windows_now(scoped.pk)
    type(removed).objects.filter(id=removed.id).update(is_active=False, updated_at=NOON - HOUR)
    windows_now(scoped.pk, NOON + DAY)
    call = TrackedCall(at=NOON - HOUR, user_ref="ann")
    cost = track_request(scoped.pk, "deepseek", "deepseek-chat", TokenUsage(input=9, output=9), call).cost_nano
    spent = BudgetWindow.objects.exclude(committed_nano=0).order_by("budget_id")
    expected = [(budget.id, cost) for budget in counting]
    assert list(spent.filter(starts_at__lte=NOON).values_list("budget_id", "committed_nano")) == expected
    assert spent.count() == 2

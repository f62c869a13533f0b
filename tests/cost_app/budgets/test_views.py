"""`/budgets/`: the list and the pages of budgets."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets.manage import grant_increase, remove_budget
from cost_app.budgets.windows import windows_now
from cost_app.models import Attempt, Budget, BudgetIncrease, BudgetWindow, UsageDay
from tests.cost_app.budgets.conftest import DOLLAR, set_in

Browser = Callable[[User], Client]
HTMX = {"HX-Request": "true"}
NEW = {
    "period": "monthly",
    "scope": "organization",
    "limit": "250",
    "warning_percent": "80",
    "alert_percent": "95",
    "enforcement": "block",
}
EDIT = {name: value for name, value in NEW.items() if name not in {"period", "scope"}}


def spend(budget: Budget, committed: int, reserved: int = 0) -> None:
    with organization_scope(budget.organization_id):
        windows_now(budget.organization_id)
        BudgetWindow.objects.filter(budget=budget).update(committed_nano=committed, reserved_nano=reserved)


def raised(budget: Budget, **fields: Any) -> BudgetIncrease:
    fields = {"nano": 5 * DOLLAR, "reason": "launch", "expires_at": timezone.now() + timedelta(days=3), **fields}
    return grant_increase(budget=budget, actor="user:finance", **fields)


def rows_of(organization: Organization, table: type[Any]) -> list[Any]:
    with organization_scope(organization.pk):
        return list(table.objects.order_by("id"))


def queries(client: Client, url: str, **headers: Any) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url, **headers).status_code == 200
    return len(captured)


# List


@pytest.mark.parametrize(("person", "next_step"), [("finance", "Create budget"), ("viewer", "can create a budget")])
def test_the_empty_page_explains_budgets(
    person: str, next_step: str, request: pytest.FixtureRequest, client_of: Browser
) -> None:
    page = client_of(request.getfixturevalue(person)).get(reverse("budgets")).text
    assert "No budgets yet" in page
    assert next_step in page


def test_the_list_shows_spent_held_and_free(budget: Budget, viewer: User, client_of: Browser) -> None:
    spend(budget, 62 * DOLLAR + DOLLAR // 2, 10 * DOLLAR)
    page = client_of(viewer).get(reverse("budgets")).text
    for shown in ("$62.50", "$10.00", "$27.50", "$100.00", "62% spent", "Whole organization"):
        assert shown in page
    assert 'width="625"' in page
    assert 'x="625" width="100"' in page
    assert "M800 0V10M950 0V10" in page


def test_an_increase_can_be_withdrawn_while_it_is_in_effect(
    budget: Budget, finance: User, viewer: User, client_of: Browser
) -> None:
    increases = [raised(budget), raised(budget)]
    with organization_scope(budget.organization_id):
        BudgetIncrease.objects.filter(pk=increases[1].pk).update(expires_at=timezone.now())
    urls = [reverse("budget_increase_withdraw", args=[increase.pk]) for increase in increases]
    pages = {person: client_of(person).get(reverse("budget", args=[budget.pk])).text for person in (finance, viewer)}
    assert [url in pages[finance] for url in urls] == [True, False]
    assert not any(url in pages[viewer] for url in urls)


def test_all_amounts_in_the_list_have_the_same_decimals(
    budget: Budget, organization: Organization, viewer: User, client_of: Browser
) -> None:
    spend(budget, 62 * DOLLAR)
    spend(set_in(organization, period="daily", limit_nano=DOLLAR), 85_530_000, 20_000)
    page = client_of(viewer).get(reverse("budgets")).text
    cells = re.findall(r'<td class="num" data-label="(\w+)">\s*(\S+)\s*</td>', unescape(page))
    assert [text for name, text in cells if name in {"Spent", "Reserved", "Free", "Limit"}] == [
        *("$0.09", "<$0.01", "$0.91", "$1.00"),
        *("$62.00", "$0.00", "$38.00", "$100.00"),
    ]


@pytest.mark.parametrize(
    ("spent", "state", "tone"),
    [
        (79, "", ""),
        (80, "above the warning threshold", "warn"),
        (95, "above the alert threshold", "bad"),
        (100, "used up", "bad"),
    ],
)
def test_budget_above_a_threshold_is_labeled(
    budget: Budget, viewer: User, client_of: Browser, spent: int, state: str, tone: str
) -> None:
    spend(budget, spent * DOLLAR)
    (row,) = client_of(viewer).get(reverse("budgets")).context["rows"]
    assert (row.state, row.tone) == (state, tone)


def test_overspending_after_a_limit_cut_is_shown(
    budget: Budget, organization: Organization, viewer: User, client_of: Browser
) -> None:
    spend(budget, 62 * DOLLAR, 10 * DOLLAR)
    set_in(organization, limit_nano=0)
    page = client_of(viewer).get(reverse("budgets")).text
    assert "$72.00 over" in page
    assert "100% spent" in page


def test_key_budget_is_labeled_with_the_key_s_name(
    organization: Organization, viewer: User, client_of: Browser
) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    set_in(organization, scope="api_key", scope_value=key.key_id)
    assert f"bot ({key.key_id})" in client_of(viewer).get(reverse("budgets")).text


def test_budgets_of_other_organizations_are_not_listed(theirs: Budget, viewer: User, client_of: Browser) -> None:
    page = client_of(viewer).get(reverse("budgets")).text
    assert "their-tag" not in page
    assert "No budgets yet" in page


def test_htmx_request_gets_only_the_progress(budget: Budget, viewer: User, client_of: Browser) -> None:
    client = client_of(viewer)
    for url in (reverse("budgets"), reverse("budget", args=[budget.id])):
        first = client.get(url, headers=HTMX)
        assert "<html" not in first.text
        assert "data-figure-url" not in first.text
        assert "csrf" not in first.text
        assert "HX-Request" in first.headers["Vary"]
        assert 'data-live="5"' in client.get(url).text


def test_list_runs_the_same_number_of_queries_with_more_budgets(
    budget: Budget, organization: Organization, viewer: User, client_of: Browser
) -> None:
    client, url = client_of(viewer), reverse("budgets")
    keyed, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    set_in(organization, scope="api_key", scope_value=keyed.key_id)
    client.get(url)
    few = queries(client, url)
    for number in range(9):
        key, _ = keys.create_key(organization=organization, name=f"bot {number}", role=Role.VIEWER, actor="command:x")
        set_in(organization, scope="api_key", scope_value=key.key_id)
    client.get(url)
    assert queries(client, url) == few


# One budget


def test_a_budget_s_page_shows_its_period_increases_and_changes(
    budget: Budget, finance: User, client_of: Browser
) -> None:
    spend(budget, 85 * DOLLAR)
    raised(budget)
    page = client_of(finance).get(reverse("budget", args=[budget.id])).text
    for shown in (
        "Monthly budget of the organization",
        "$105.00",
        "$5.00 raised",
        "launch",
        "monthly budget of the organization",
    ):
        assert shown in page
    for action in ("budget_edit", "budget_remove", "budget_increase"):
        assert reverse(action, args=[budget.id]) in page
    assert page.count("data-figure-url") == 2


def test_viewers_see_no_buttons_and_no_audit_log(budget: Budget, viewer: User, client_of: Browser) -> None:
    increase = raised(budget)
    page = client_of(viewer).get(reverse("budget", args=[budget.id])).text
    assert reverse("budget_edit", args=[budget.id]) not in page
    assert reverse("budget_increase_withdraw", args=[increase.pk]) not in page
    assert "budget.increased" not in page


def test_open_holds_are_listed_with_their_owner(
    budget: Budget, viewer: User, client_of: Browser, open_attempt: Callable[..., Attempt]
) -> None:
    attempt = open_attempt(request_id=uuid4(), user_ref="ada")
    page = client_of(viewer).get(reverse("budget", args=[budget.id])).text
    assert attempt.request_id.hex[:8] in page  # type: ignore[union-attr]
    assert "ada" in page
    assert "deepseek-chat" in page


def test_page_runs_the_same_number_of_queries_with_more_holds(
    budget: Budget, viewer: User, client_of: Browser, open_attempt: Callable[..., Attempt]
) -> None:
    client, url = client_of(viewer), reverse("budget", args=[budget.id])
    open_attempt()
    few = queries(client, url)
    for _ in range(9):
        open_attempt()
    assert queries(client, url) == few


def test_page_runs_the_same_number_of_queries_with_more_past_periods(
    budget: Budget, finance: User, client_of: Browser
) -> None:
    client, url = client_of(finance), reverse("budget", args=[budget.id])
    spend(budget, 1)

    def add(months: int) -> None:
        end = timezone.now() - timedelta(days=40 * months)
        with organization_scope(budget.organization_id):
            BudgetWindow.objects.create(
                organization_id=budget.organization_id,
                budget=budget,
                starts_at=end - timedelta(days=30),
                ends_at=end,
                limit_nano=DOLLAR,
                enforcement="warn",
                committed_nano=3 * DOLLAR,
            )

    add(1)
    raised(budget)
    few = queries(client, url)
    for months in range(2, 11):
        add(months)
        raised(budget)
    assert queries(client, url) == few
    assert len(re.findall(r"\b300%(?!2F)", client.get(url).text)) == 10


def test_a_removed_budget_stays_readable(budget: Budget, finance: User, client_of: Browser) -> None:
    spend(budget, 7 * DOLLAR)
    remove_budget(budget=budget, actor="user:finance")
    client = client_of(finance)
    assert reverse("budget", args=[budget.id]) in client.get(reverse("budgets")).text
    page = client.get(reverse("budget", args=[budget.id])).text
    assert "$7.00" in page
    assert "no longer counts spending" in page
    assert reverse("budget_edit", args=[budget.id]) not in page
    assert "This budget was removed" in client.get(reverse("budget", args=[budget.id]), headers=HTMX).text


def test_day_when_the_budget_runs_out_is_forecast(
    organization: Organization, budget: Budget, viewer: User, client_of: Browser, clock: Callable[[datetime], None]
) -> None:
    """$4 per day for four weeks: a monthly budget of $100 lasts 25 days."""
    clock(datetime(2026, 3, 10, 12, tzinfo=UTC))
    with organization_scope(organization.pk):
        BudgetWindow.objects.all().delete()
        Budget.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC), holds_since=None)
        for number in range(28):
            day = date(2026, 3, 9) - timedelta(days=number)
            UsageDay.objects.create(organization=organization, dimension="total", day=day, nano=4 * DOLLAR)
    spend(budget, 36 * DOLLAR)
    client, url = client_of(viewer), reverse("budget", args=[budget.id])
    assert client.get(url).context["detail"].runs_out_on in {date(2026, 3, 25), date(2026, 3, 26)}
    set_in(organization, limit_nano=200 * DOLLAR)
    assert client.get(url).context["detail"].runs_out_on is None

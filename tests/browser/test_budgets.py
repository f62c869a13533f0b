"""The budget pages in a real browser."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets.events import publish_budget_changes
from cost_app.budgets.manage import grant_increase, set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.budgets.windows import windows_now
from cost_app.models import Budget, BudgetWindow, UsageDay
from queue_app.models import AIRequest
from tests.browser.conftest import OpenPage, was_reloaded
from tests.browser.test_pages import assert_is_usable

DOLLAR = 1_000_000_000


def budget_of(organization: Organization, **terms: object) -> Budget:
    settings = {"period": "monthly", "limit_nano": 500 * DOLLAR, **terms}
    return set_budget(organization_id=organization.pk, terms=BudgetTerms(**settings), actor="user:finance")  # type: ignore[arg-type]


@pytest.fixture
def path_of(organization: Organization, queue: None, submit: Callable[..., AIRequest]) -> Callable[[str], str]:
    """The path of each page, with budgets in every state."""
    budget = budget_of(organization, enforcement="block", rollover_unused=True)
    for scope, value in (("user", "a-user-with-quite-a-long-name@department.example.com"), ("tag", "red")):
        budget_of(organization, scope=scope, scope_value=value, limit_nano=DOLLAR)
    budget_of(organization, scope="model", scope_value="deepseek/deepseek-chat", period="daily", limit_nano=1)
    submit(user_ref="a-user-with-quite-a-long-name@department.example.com", tags=["red"])
    ends_at = timezone.now() + timedelta(days=3)
    grant_increase(budget=budget, nano=20 * DOLLAR, reason="launch", expires_at=ends_at, actor="user:finance")
    with organization_scope(organization.pk):
        for number, (open_window, spent) in enumerate(zip(windows_now(organization.pk), (300, 0, 0, 0), strict=True)):
            BudgetWindow.objects.filter(id=open_window.window.id).update(committed_nano=spent * DOLLAR + number % 2)
        BudgetWindow.objects.filter(budget__scope="tag").update(committed_nano=DOLLAR)
        begin = timezone.now() - timedelta(days=90)
        past = {"budget": budget, "organization": organization, "limit_nano": 500 * DOLLAR, "enforcement": "block"}
        for months in range(2):
            starts_at = begin + timedelta(days=30 * months)
            BudgetWindow.objects.create(
                starts_at=starts_at, ends_at=starts_at + timedelta(days=30), committed_nano=400 * DOLLAR, **past
            )
        today = timezone.localdate()
        for days in range(40):
            day = today - timedelta(days=days)
            UsageDay.objects.create(organization=organization, dimension="total", day=day, nano=13 * DOLLAR)
        Budget.objects.filter(id=budget.id).update(created_at=begin)
    paths = {
        "list": "/budgets/",
        "budget": f"/budgets/{budget.id}/",
        "new": "/budgets/new/",
        "edit": f"/budgets/{budget.id}/edit/",
        "table": f"/budgets/{budget.id}/burn-down/table/",
    }
    return lambda name: paths[name]


def test_budget_pages_are_usable(
    path_of: Callable[[str], str], finance: User, open_page: OpenPage, subtests: pytest.Subtests
) -> None:
    for name in ("list", "budget", "new", "edit", "table"):
        with subtests.test(page=name):
            assert_is_usable(open_page(finance, path_of(name)))


def test_progress_is_refreshed_automatically(
    path_of: Callable[[str], str], organization: Organization, viewer: User, open_page: OpenPage
) -> None:
    page = open_page(viewer, path_of("list"))
    expect(page.get_by_text("$300.00")).to_be_visible()
    expect(page.get_by_text("On change", exact=True)).to_be_visible()
    with organization_scope(organization.pk):
        BudgetWindow.objects.filter(committed_nano=300 * DOLLAR).update(committed_nano=301 * DOLLAR)
    publish_budget_changes()
    expect(page.get_by_text("$301.00")).to_be_visible()
    assert not was_reloaded(page)


def test_a_budget_is_created_with_the_keyboard(
    path_of: Callable[[str], str], organization: Organization, finance: User, open_page: OpenPage
) -> None:
    page = open_page(finance, path_of("list"))
    page.get_by_role("link", name="New budget").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/new/")
    expect(page.get_by_label("Tag", exact=True)).to_be_hidden()
    page.get_by_role("radio", name="The whole organization").focus()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Tag", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.type("green")
    page.keyboard.press("Tab")
    page.keyboard.type("12.5")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Monthly budget of tag green"))
    with organization_scope(organization.pk):
        assert Budget.objects.get(scope_value="green").limit_nano == 12_500_000_000


def test_a_budget_is_raised_and_removed_in_dialogs(
    path_of: Callable[[str], str], finance: User, open_page: OpenPage
) -> None:
    page = open_page(finance, path_of("budget"))
    page.get_by_role("button", name="Raise temporarily").click()
    page.get_by_label("Increase the limit by").fill("0")
    page.get_by_label("Reason").fill("more users")
    page.get_by_role("button", name="Raise the limit", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("must be positive")
    page.problems.clear()  # type: ignore[attr-defined]  # Chromium logs the status 422
    page.get_by_label("Increase the limit by").fill("7")
    page.get_by_role("button", name="Raise the limit", exact=True).click()
    expect(page.get_by_text("$27.00 raised temporarily")).to_be_visible()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("button", name="Remove budget").click()
    page.wait_for_url("**/budgets/")
    expect(page.get_by_text("Removed budgets")).to_be_visible()

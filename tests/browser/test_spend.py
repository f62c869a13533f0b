"""The cost pages in a real browser, with sixty days of history."""

import pytest
from playwright.sync_api import expect

from aiinfra.demo.history import make_history
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Alert, Recommendation
from cost_app.recommendations.compute import compute_recommendations
from tests.browser.conftest import OpenPage
from tests.browser.test_pages import OVERHANG, WIDTHS, assert_is_usable, settle

PAGES = [
    "/costs/",
    "/costs/settings/",
    "/alerts/",
    "/recommendations/",
    "/prices/",
    "/finance/",
    "/settings/notifications/",
]


@pytest.fixture
def history(queue: None, organization: Organization) -> None:
    """A demo history with recommendations, so that no page is empty."""
    with organization_scope(organization.pk):
        make_history(organization, days=60, requests=900, seed=7, force=True)
        compute_recommendations(organization.pk)
        assert Recommendation.objects.exists()


@pytest.fixture
def alert(queue: None, organization: Organization) -> Alert:
    with organization_scope(organization.pk):
        return Alert.objects.create(
            organization=organization,
            kind="cost_spike",
            severity="high",
            cause="spike:day:2026-03-01",
            message="Today has cost 12.00 so far; the usual cost of a whole day is 3.00.",
        )


def test_cost_pages_are_usable(
    history: None, alert: Alert, finance: User, open_page: OpenPage, subtests: pytest.Subtests
) -> None:
    for path in PAGES:
        with subtests.test(path=path):
            assert_is_usable(open_page(finance, path))


def test_every_cost_chart_is_drawn(history: None, finance: User, open_page: OpenPage) -> None:
    page = open_page(finance, "/costs/?range=30d&by=key")
    settle(page)
    expect(page.locator("[data-figure-url][data-state=drawn]")).to_have_count(5)
    page.get_by_text("As a table: Spend", exact=True).click()
    expect(page.locator(".chart-figures tbody tr")).to_have_count(30)


def test_an_alert_is_acknowledged_with_the_keyboard(alert: Alert, finance: User, open_page: OpenPage) -> None:
    page = open_page(finance, f"/alerts/{alert.pk}/")
    page.get_by_role("button", name="Acknowledge").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Alert acknowledged.")
    expect(page.locator("#alert")).to_contain_text("by finance")


LARGE = "$12,345,678.90"
BROKEN_FIGURES = """() => [...document.querySelectorAll(".tile-value")]
  .filter((e) => {
    const lines = e.getBoundingClientRect().height / parseFloat(getComputedStyle(e).lineHeight);
    return e.scrollWidth > e.clientWidth || lines > 1.5;
  })
  .map((e) => e.outerHTML)"""


def test_large_amounts_are_neither_wrapped_nor_truncated_in_tiles(
    finance: User, open_page: OpenPage, subtests: pytest.Subtests
) -> None:
    for path in ("/costs/", "/cache/"):
        page = open_page(finance, path)
        settle(page)
        page.evaluate(
            "(text) => document.querySelectorAll('.tile-value').forEach((e) => (e.textContent = text))", LARGE
        )
        for width in (*WIDTHS, 1280, 1440):
            with subtests.test(path=path, width=width):
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate(BROKEN_FIGURES) == []
                assert page.evaluate(OVERHANG) <= 0

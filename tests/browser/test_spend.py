"""The pages of finance in a real browser, over sixty days of history."""

from itertools import pairwise

import pytest
from playwright.sync_api import expect

from aiinfra.demo.history import make_history
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.advice.compute import compute_recommendations
from cost_app.models import Alert
from tests.browser.conftest import NARROW, WIDE, OpenPage
from tests.browser.test_pages import DOUBLE_IDS, FAINT_TEXT, HEADING_LEVELS, OVERHANG, UNNAMED, settle
from tests.support.processes import wait_until

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
def history(queue: None, organization: Organization) -> Alert:
    """What every page has something to say about; one alert."""
    with organization_scope(organization.pk):
        make_history(organization, days=60, requests=6_000, seed=7, force=True)
        compute_recommendations(organization.pk)
        return Alert.objects.create(
            organization=organization,
            kind="cost_spike",
            severity="high",
            cause="spike:day:2026-03-01",
            message="Today has cost 12.00 so far; 3.00 would be usual for the whole day.",
        )


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_every_screen_and_can_be_read(
    path: str, history: Alert, finance: User, open_page: OpenPage
) -> None:
    page = open_page(finance, path, WIDE)
    settle(page)
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(DOUBLE_IDS) == []
    assert page.evaluate(FAINT_TEXT) == []
    assert all(step <= 1 for step in (b - a for a, b in pairwise(page.evaluate(HEADING_LEVELS))))
    for width in (320, 390, 768):
        page.set_viewport_size({"width": width, "height": NARROW["height"]})
        wait_until(lambda: page.evaluate(OVERHANG) <= 0, f"nothing to stick out at {width} pixels")
    dark = open_page(finance, path, WIDE, color_scheme="dark")
    settle(dark)
    assert dark.evaluate(FAINT_TEXT) == []


def test_every_chart_of_costs_is_drawn(history: Alert, finance: User, open_page: OpenPage) -> None:
    page = open_page(finance, "/costs/?range=30d&by=key")
    settle(page)
    expect(page.locator("[data-figure-url][data-state=drawn]")).to_have_count(5)
    page.get_by_text("As a table: Spend").click()
    expect(page.locator(".cost-figure-table tbody tr")).to_have_count(30)


def test_an_alert_is_acknowledged_with_the_keyboard(history: Alert, finance: User, open_page: OpenPage) -> None:
    page = open_page(finance, f"/alerts/{history.pk}/")
    page.get_by_role("button", name="Acknowledge").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("The alert is acknowledged.")
    expect(page.locator("#alert")).to_contain_text("by user:finance")

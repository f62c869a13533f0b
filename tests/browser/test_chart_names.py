"""Charts show names as plain text, not as HTML."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization, User
from tests.browser.conftest import OpenPage
from tests.browser.test_pages import settle
from tests.cost_app.spend.conftest import add_usage  # noqa: F401 - a fixture
from tests.support.dates import current_day

NAMES = ['<a href="https://evil.example/">x</a>', "<b>bold</b>", "R&D", "R&amp;D", "a < b > c", "&#60;i&#62;"]


@pytest.mark.parametrize("by", ["tag", "model", "provider", "user", "key"])
def test_a_chart_shows_names_as_plain_text_in_legend_and_hover_text(
    organization: Organization,
    finance: User,
    open_page: OpenPage,
    add_usage: Callable[..., None],  # noqa: F811
    by: str,
) -> None:
    today = current_day()
    add_usage(today, len(NAMES) * 1_000_000_000)
    for number, name in enumerate(NAMES):
        value = name
        if by == "key":
            key, _ = create_key(organization=organization, name=name, role=Role.VIEWER, actor="command:test")
            value = str(key.pk)
        elif by == "model":
            value = f"openai/{name}"
        add_usage(today, (number + 1) * 1_000_000_000, "api_key" if by == "key" else by, value)
    page = open_page(finance, f"/costs/?range=7d&by={by}")
    settle(page)
    chart = page.locator("[data-figure-url*='spend']").first
    expect(chart.locator(".legendtext")).to_have_count(len(NAMES))
    legend = " ".join(chart.locator(".legendtext").all_text_contents())
    assert [name for name in NAMES if name not in legend] == []
    chart.locator(".bars .point").last.hover(force=True)
    expect(chart.locator(".hoverlayer")).to_contain_text("R&amp;D")
    assert page.locator(".chart a, .chart tspan[style*=bold]").count() == 0


def test_clicking_a_bar_opens_its_details(
    finance: User,
    open_page: OpenPage,
    add_usage: Callable[..., None],  # noqa: F811
) -> None:
    today = current_day()
    add_usage(today, 1_000_000_000)
    add_usage(today, 1_000_000_000, "tag", "R&D")
    page = open_page(finance, "/costs/?range=7d&by=tag")
    settle(page)
    page.locator("[data-figure-url*='spend'] .bars .point").last.click(force=True)
    expect(page).to_have_url(re.compile("only=tag%3AR%26D"))

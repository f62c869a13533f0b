from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from pytest_django.fixtures import Settings

from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from queue_app.models import AIRequest, Priority, QueuePolicy
from queue_app.ordering.claims import Claim
from queue_app.processing import heartbeat
from queue_app.processing.provider_call import process
from queue_app.stats.depth_history import sample_depths
from queue_app.stats.outcome_counts import count_ended
from tests.browser.conftest import OpenPage, was_reloaded
from tests.queue_app.conftest import ScriptedProvider
from tests.queue_app.test_live_view import beat
from tests.support.processes import free_port

Submit = Callable[..., AIRequest]


@pytest.fixture
def traffic(
    submit: Submit, claimed: Callable[..., Claim], provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finished request, pending requests, and a worker that counts as alive for the whole test."""
    monkeypatch.setattr(heartbeat, "SILENT_AFTER_S", 3_600)
    process(claimed(priority=Priority.HIGH))
    for priority in Priority:
        submit(priority=priority)
    count_ended()
    sample_depths()
    beat("worker-1")


def waiting(page: Page) -> str:
    """The number on the tile of waiting requests."""
    return page.locator(".queue-tiles .tile-value").first.inner_text()


def test_every_chart_is_drawn_or_empty(traffic: None, operator: User, open_page: OpenPage) -> None:
    User.objects.filter(pk=operator.pk).update(is_staff=True, is_superuser=True)
    page = open_page(operator, "/queue/")
    expect(page.locator("[data-figure-url][data-state=drawn]")).to_have_count(4)
    expect(page.locator("#errors-chart")).to_have_attribute("data-state", "empty")
    assert page.locator("#depth-chart .main-svg").count() > 0
    page.get_by_text("As a table: Finished per minute").click()
    expect(page.locator(".chart-figures tbody tr")).to_have_count(60)


def test_a_new_request_appears_without_a_reload(
    traffic: None, submit: Submit, viewer: User, open_page: OpenPage
) -> None:
    page = open_page(viewer, "/queue/")
    assert waiting(page) == "4"
    submit(priority=Priority.CRITICAL)
    expect(page.locator("tr", has_text="Critical").locator("td[data-label=Waiting]")).to_have_text("2")
    assert waiting(page) == "5"
    assert not was_reloaded(page)


def test_the_first_request_replaces_the_hint(submit: Submit, viewer: User, open_page: OpenPage) -> None:
    page = open_page(viewer, "/queue/")
    expect(page.get_by_text("Send your first request")).to_be_visible()
    submit()
    expect(page.get_by_text("Send your first request")).to_have_count(0)


def test_the_refresh_interval_is_stored_in_the_browser(
    traffic: None, submit: Submit, viewer: User, open_page: OpenPage
) -> None:
    page = open_page(viewer, "/queue/")
    page.locator("[data-refresh-menu] summary").click()
    page.get_by_role("button", name="Off").click()
    page.reload()
    expect(page.locator("[data-refresh-label]")).to_have_text("Off")
    expect(page.locator("[data-live-state]")).to_have_text("Refresh is off")
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3_000)
    assert [url for url in asked if "/static/" not in url] == []  # images may be reported late


def test_pausing_a_priority_with_the_keyboard_keeps_the_focus(
    traffic: None, submit: Submit, operator: User, organization: Organization, open_page: OpenPage
) -> None:
    page = open_page(operator, "/queue/")
    page.locator("#switch-low").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Priority low is paused.")
    expect(page.locator("#switch-low")).to_have_text("Resume")
    with page.expect_response("**/queue/"):
        submit()
    expect(page.locator("#switch-low")).to_be_focused()
    with organization_scope(organization.pk):
        assert QueuePolicy.objects.get().paused_priorities == [Priority.LOW]
    assert not was_reloaded(page)


def test_a_button_works_immediately_after_a_refresh(
    traffic: None, submit: Submit, operator: User, open_page: OpenPage
) -> None:
    """If htmx had not processed the button yet, a click would submit the form without htmx and reload the page."""
    page = open_page(operator, "/queue/")
    press = "setTimeout(() => document.getElementById('switch-low').click())"
    page.evaluate(f"document.addEventListener('htmx:afterSwap', () => {press}, {{once: true}})")
    submit()
    expect(page.locator("#toasts")).to_contain_text("Priority low is paused.")
    assert not was_reloaded(page)


def test_without_redis_the_page_shows_an_error_and_keeps_the_last_figures(
    traffic: None, viewer: User, open_page: OpenPage, settings: Settings
) -> None:
    page = open_page(viewer, "/queue/")
    expect(page.locator("#queue-workers")).to_contain_text("3 of 10")
    url, settings.REDIS_URL = settings.REDIS_URL, f"redis://127.0.0.1:{free_port()}/0"
    expect(page.get_by_role("alert")).to_contain_text("Redis is not responding")
    expect(page.locator("#queue-workers")).to_contain_text("3 of 10")
    assert waiting(page) == "4"
    settings.REDIS_URL = url
    expect(page.get_by_role("alert")).to_have_count(0)
    page.problems[:] = [each for each in page.problems if "503" not in each]  # type: ignore[attr-defined]


def test_the_color_scheme_follows_the_system_and_the_button(traffic: None, viewer: User, open_page: OpenPage) -> None:
    page = open_page(viewer, "/queue/", color_scheme="dark")
    assert _lightness(page) < 60
    expect(page.locator("#depth-chart[data-state=drawn]")).to_be_visible()
    dark = page.locator("#depth-chart .xtick text").first.evaluate("e => getComputedStyle(e).fill")
    page.get_by_label("Light or dark").click()
    assert _lightness(page) > 200
    expect(page.locator("#depth-chart .xtick text").first).not_to_have_css("fill", dark)


def _lightness(page: Page) -> int:
    """The red value of the page's background, 0 to 255."""
    color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return int(color.removeprefix("rgb(").split(",")[0])

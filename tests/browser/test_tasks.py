"""Common tasks of each role, done with the keyboard only."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from aiinfra.demo.history import make_history
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Budget
from queue_app.models import AIRequest
from queue_app.ordering.claims import Claim
from queue_app.processing.provider_call import process
from tests.browser.conftest import NARROW, OpenPage
from tests.queue_app.conftest import ScriptedProvider, refusal

MOST_TABS = 80


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus. Fails if it cannot be reached."""
    expect(target).to_be_visible()
    page.wait_for_load_state()
    for _ in range(MOST_TABS):
        if target.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{target} cannot be reached with the Tab key")


def press(page: Page, target: Locator) -> None:
    """Tab to the target and press Enter."""
    tab_to(page, target)
    page.keyboard.press("Enter")


def go_to(page: Page, chord: str) -> None:
    """Use a page's shortcut, such as `g b`, after its scripts have loaded."""
    page.wait_for_load_state()
    for key in chord.split():
        page.keyboard.press(key)


def test_finance_sets_a_budget_and_downloads_a_statement(
    organization: Organization, queue: None, finance: User, open_page: OpenPage
) -> None:
    with organization_scope(organization.pk):
        make_history(organization, days=3, requests=30, seed=7, force=True)
    page = open_page(finance, "/costs/")
    go_to(page, "g b")
    press(page, page.get_by_role("link", name="New budget"))
    tab_to(page, page.locator("#id_period"))
    page.keyboard.type("d")
    tab_to(page, page.locator("#id_limit"))
    page.keyboard.type("250")
    press(page, page.get_by_role("button", name="Create budget"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("budget of the organization")
    with organization_scope(organization.pk):
        assert Budget.objects.get(period="daily", scope="organization").limit_nano == 250 * 10**9
    go_to(page, "g f")
    with page.expect_download() as download:
        press(page, page.get_by_role("link", name="CSV").first)
    assert download.value.suggested_filename.endswith(".csv")


def test_an_operator_finds_why_requests_fail_and_pauses(
    claimed: Callable[..., Claim], provider: ScriptedProvider, operator: User, open_page: OpenPage
) -> None:
    provider.script = [refusal("INVALID_REQUEST")]
    claim = claimed(max_retries=0)
    process(claim)
    page = open_page(operator, "/queue/requests/?status=failed")
    press(page, page.get_by_role("link", name=claim.request.id.hex[:8]))
    page.wait_for_url(f"**/requests/{claim.request.id}/")
    expect(page.get_by_role("main")).to_contain_text("INVALID_REQUEST")
    go_to(page, "g q")
    press(page, page.get_by_role("button", name="Pause all"))
    press(page, page.get_by_role("alertdialog").get_by_role("button").last)
    expect(page.locator("#toasts")).to_contain_text("paused")
    expect(page.get_by_role("button", name="Resume all")).to_be_visible()


def test_a_developer_creates_a_key_and_finds_their_request(
    submit: Callable[..., AIRequest], owner: User, open_page: OpenPage
) -> None:
    request = submit(user_ref="ann")
    page = open_page(owner, "/queue/")
    go_to(page, "g k")
    press(page, page.get_by_role("button", name="New key"))
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("laptop")
    page.keyboard.press("Enter")
    expect(page.locator("#key-text, code").first).to_contain_text("aik_")
    page.goto("/queue/requests/")
    page.keyboard.press("/")
    page.keyboard.type(str(request.id))
    press(page, page.get_by_role("link", name=request.id.hex[:8]))
    page.wait_for_url(f"**/requests/{request.id}/")
    expect(page.get_by_role("main")).to_contain_text("ann")


def test_an_admin_invites_a_person(admin: User, open_page: OpenPage) -> None:
    page = open_page(admin, "/queue/")
    go_to(page, "g m")
    press(page, page.get_by_role("button", name="Invite"))
    expect(page.locator("dialog[open] input[type=email]")).to_be_focused()
    page.keyboard.type("new@example.com")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_contain_text("new@example.com")


def test_on_a_phone_the_more_menu_lists_every_page(owner: User, open_page: OpenPage) -> None:
    page = open_page(owner, "/queue/", NARROW)
    bar = page.get_by_role("navigation", name="Main")
    assert bar.evaluate("(bar) => bar.scrollWidth <= bar.clientWidth")
    expect(bar.get_by_role("link", name="Audit log")).to_be_hidden()
    more = bar.get_by_role("button", name="More")
    press(page, more)
    expect(more).to_have_attribute("aria-expanded", "true")
    expect(bar.get_by_role("link", name="Audit log")).to_be_visible()
    page.keyboard.press("Escape")
    expect(more).to_be_focused()
    press(page, more)
    press(page, bar.get_by_role("link", name="Audit log"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit log")


def test_at_768_pixels_tables_scroll_beside_the_navigation(owner: User, open_page: OpenPage) -> None:
    page = open_page(owner, "/settings/keys/", {"width": 768, "height": 1024})
    bar = page.get_by_role("navigation", name="Main").bounding_box()
    assert bar is not None
    assert bar["height"] == 1024 and bar["width"] < 100
    page.goto("/queue/requests/")
    assert page.evaluate(
        "[...document.querySelectorAll('.table-wrap')].every((e) => getComputedStyle(e).overflowX === 'auto')"
    )

"""The cache pages in a real browser."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cache_app.models import CacheHit, JudgedBy, Judgement
from cache_app.policy import change_policy, forget_policies
from cache_app.store import browse, l1
from tests.browser.conftest import OpenPage, was_reloaded
from tests.browser.test_pages import assert_is_usable
from tests.cache_app.learning.made import CACHED, make_entry, make_hit
from tests.cache_app.pages.support import counted, make_proposal, policy_in

LONG_TAG = "a-tag-with-quite-a-long-name-that-no-phone-is-wide-enough-for"
PATHS = {
    "overview": "/cache/",
    "entries": "/cache/entries/",
    "entry": "/cache/entries/{entry}/",
    "review": "/cache/review/",
    "settings": "/cache/settings/",
    "table": "/cache/figures/outcomes/table/",
}


@pytest.fixture
def path_of(organization: Organization, queue: None, redis_url: str) -> Iterator[Callable[[str], str]]:
    """The path of each page, in an organization with data for all of them."""
    forget_policies()
    l1.clear()
    counted(organization)
    make_proposal(organization)
    entry = make_entry(organization, tags=("faq", LONG_TAG), user_ref="somebody@department.example.com")
    make_entry(organization, "What else is there to know, and " + "long" * 40 + "?", pinned=True)
    make_hit(organization, judgement=Judgement.WRONG, judged_by=JudgedBy.REPORT)
    make_hit(organization, "w" * 300, judgement=Judgement.DOUBTFUL, fresh_answer="In the second table.")
    with organization_scope(organization.pk):
        change_policy(organization_id=organization.pk, changes={"ttl_hours": 48}, actor="user:admin")
    yield lambda name: PATHS[name].format(entry=entry.id)
    forget_policies()


def test_cache_pages_are_usable(
    path_of: Callable[[str], str], admin: User, open_page: OpenPage, subtests: pytest.Subtests
) -> None:
    for name in PATHS:
        with subtests.test(page=name):
            assert_is_usable(open_page(admin, path_of(name)))


def test_the_charts_are_drawn_and_have_tables(path_of: Callable[[str], str], viewer: User, open_page: OpenPage) -> None:
    page = open_page(viewer, path_of("overview"))
    for name in ("outcomes", "similarity", "refusals"):
        expect(page.locator(f"#{name}-chart .main-svg").first).to_be_visible()
    expect(page.locator("#similarity-chart")).to_contain_text("threshold 0.85")
    page.get_by_text("As a table").last.click()
    expect(page.get_by_role("cell", name="Not similar enough")).to_be_visible()
    expect(page.get_by_role("region", name="What another threshold would have done")).to_contain_text("up to")


def test_figures_are_refreshed_and_a_range_can_be_selected(
    path_of: Callable[[str], str], organization: Organization, viewer: User, open_page: OpenPage
) -> None:
    page = open_page(viewer, path_of("overview"))
    expect(page.get_by_text("of 1,000 lookups")).to_be_visible()
    counted(organization, {"look": 500}, days_ago=9)
    expect(page.get_by_text("of 1,500 lookups")).to_be_visible()
    assert not was_reloaded(page)
    page.get_by_label("Range").select_option("7d")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("of 1,000 lookups")).to_be_visible()


def test_a_proposed_threshold_is_applied(
    path_of: Callable[[str], str], organization: Organization, admin: User, open_page: OpenPage
) -> None:
    page = open_page(admin, path_of("overview"))
    page.get_by_role("button", name="Apply 0.91").click()
    expect(page.get_by_text("Threshold set to 0.91.")).to_be_visible()
    expect(page.locator("#similarity-chart")).to_contain_text("threshold 0.91")
    policy = policy_in(organization)
    assert policy is not None
    assert policy.threshold == 0.91


def test_pairs_are_judged_with_the_keyboard(
    path_of: Callable[[str], str], organization: Organization, operator: User, open_page: OpenPage
) -> None:
    page = open_page(operator, path_of("review"))
    page.get_by_role("button", name="Right").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Judged right.", exact=True).first).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".cache-said")).to_have_text("Judged wrong.")
    expect(page.locator(".cache-said")).to_be_focused()
    assert not was_reloaded(page)
    with organization_scope(organization.pk):
        assert set(CacheHit.objects.values_list("judgement", flat=True)) == {"wrong"}


def test_an_entry_is_pinned_and_removed_from_the_list(
    path_of: Callable[[str], str], organization: Organization, operator: User, open_page: OpenPage
) -> None:
    page = open_page(operator, path_of("entries"))
    row = page.get_by_role("row").filter(has_text=CACHED)
    row.get_by_role("button", name="Pin entry").click()
    expect(row.get_by_text("pinned", exact=True)).to_be_visible()
    row.get_by_role("button", name="Remove entry").click()
    page.get_by_role("button", name="Remove entry", exact=True).click()
    expect(row).to_have_count(0)
    assert not was_reloaded(page)
    assert browse.count(organization.pk) == 1


def test_entries_are_filtered_while_typing_and_cleared_in_a_dialog(
    path_of: Callable[[str], str], organization: Organization, operator: User, open_page: OpenPage
) -> None:
    page = open_page(operator, path_of("entries"))
    tag = page.get_by_role("search", name="Entries").get_by_label("Tag")
    tag.fill("faq")
    tag.press("Enter")
    expect(page.locator("#entries tbody tr")).to_have_count(1)
    page.wait_for_url("**/entries/?tag=faq")
    page.get_by_role("button", name="Clear…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("All entries of the organization").check()
    expect(dialog.get_by_label("Tags", exact=True)).to_be_hidden()
    dialog.get_by_role("button", name="Remove").click()
    expect(dialog).to_contain_text("Type North Ltd to remove every entry.")
    page.problems.clear()  # type: ignore[attr-defined]  # Chromium logs the status 422
    dialog.get_by_label("Type the organization's name").fill("North Ltd")
    dialog.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("2 entries removed.")).to_be_visible()
    expect(page.get_by_text("No entries yet")).to_be_visible()
    assert browse.count(organization.pk) == 0


def test_settings_are_saved_and_errors_are_shown_beside_their_fields(
    path_of: Callable[[str], str], organization: Organization, admin: User, open_page: OpenPage
) -> None:
    page = open_page(admin, path_of("settings"))
    page.get_by_label("Answer exact matches only").check()
    page.get_by_label("Sampled re-checks (%)").fill("2")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Enter a daily budget, or set the sample to 0.")).to_be_visible()
    page.problems.clear()  # type: ignore[attr-defined]  # Chromium logs the status 422
    page.get_by_label("Daily re-check budget").fill("1.50")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Settings saved. They take effect within a second.")).to_be_visible()
    expect(page.get_by_label("Answer exact matches only")).to_be_checked()
    policy = policy_in(organization)
    assert policy is not None
    assert (policy.mode, policy.reask_day_nano) == ("exact", 1_500_000_000)

"""Very long names, very large amounts, and colors that the system chooses."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from aiinfra.context_processors import NAVIGATION
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization, User
from cost_app.budgets.manage import set_budget
from cost_app.budgets.terms import NANO_MAX, BudgetTerms
from tests.browser.conftest import OpenPage
from tests.browser.test_pages import OVERHANG, settle
from tests.support.processes import wait_until

PHONE, LAPTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk🚀مرحبا" * 3
COLORS_OF = "names => names.map((name) => color(name))"
LOOK = """element => {
  const style = getComputedStyle(element);
  return [style.backgroundColor, style.borderBottomColor].join();
}"""


@pytest.fixture
def pages(organization: Organization, owner: User) -> list[str]:
    """The pages of the navigation, where everything with a name has a long one."""
    Organization.objects.filter(pk=organization.pk).update(name=LONG[:190])
    User.objects.filter(pk=owner.pk).update(username="a" * 140)
    create_key(organization=organization, name=LONG[:100], role=Role.VIEWER, actor="user:owner")
    for number, limit in enumerate((1, NANO_MAX)):
        terms = BudgetTerms("monthly", limit, scope="tag", scope_value=LONG[number : 60 + number])
        set_budget(organization_id=organization.pk, terms=terms, actor="user:owner")
    return [reverse(each.url_name) for each in NAVIGATION if each.group != "Installation"]


@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
def test_nothing_sticks_out_or_is_cut_off(
    pages: list[str], owner: User, open_page: OpenPage, viewport: dict[str, int], subtests: pytest.Subtests
) -> None:
    page = open_page(owner, "/queue/", viewport)
    for path in pages:
        with subtests.test(path=path):
            page.goto(path)
            settle(page)
            wait_until(lambda: page.evaluate(OVERHANG) <= 0, "nothing to stick out")


def test_a_long_organization_leaves_room_for_the_account(pages: list[str], owner: User, open_page: OpenPage) -> None:
    page = open_page(owner, "/queue/", LAPTOP)
    box = page.locator(".topbar-end .hide-phone").bounding_box()
    assert box is not None
    assert box["width"] > 100


def looks(page: Page, selector: str) -> set[str]:
    return {each.evaluate(LOOK) for each in page.locator(selector).all()}


def test_forced_colors_keep_what_only_colors_say(viewer: User, open_page: OpenPage) -> None:
    page = open_page(viewer, "/queue/", forced_colors="active")
    settle(page)
    assert len(looks(page, ".swatch")) == 4
    for links in (".nav-link", ".tab"):
        assert looks(page, f"{links}[aria-current]").isdisjoint(looks(page, f"{links}:not([aria-current])"))
    names = ["--series-1", "--series-2", "--series-3", "--series-4", "--surface-raised", "--text"]
    assert len(set(page.evaluate(COLORS_OF, names))) == len(names)


def test_a_menu_closes_when_focus_leaves_it(viewer: User, open_page: OpenPage) -> None:
    page = open_page(viewer, "/queue/")
    menu = page.locator(".topbar-end details.menu")
    menu.locator("summary").press("Enter")
    expect(menu).to_have_attribute("open", "")
    menu.get_by_role("button", name="Log out").focus()
    page.keyboard.press("Tab")
    expect(menu).not_to_have_attribute("open", "")

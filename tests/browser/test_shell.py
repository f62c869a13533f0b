"""Features of every page: the filter shortcut, switching organizations, expired sessions, and printing."""

import re
from collections.abc import Callable

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Membership, Organization, User
from queue_app.models import AIRequest
from tests.browser.conftest import OpenPage, was_reloaded
from tests.browser.test_pages import OVERHANG

Submit = Callable[..., AIRequest]


@pytest.mark.parametrize(
    ("path", "field"), [("/queue/requests/", "id_id"), ("/costs/", "id_range"), ("/prices/", "id_text")]
)
def test_slash_focuses_the_page_s_filter(viewer: User, open_page: OpenPage, path: str, field: str) -> None:
    page = open_page(viewer, path)
    page.keyboard.press("/")
    expect(page.locator(f"#{field}")).to_be_focused()


@pytest.mark.parametrize(("path", "is_offered"), [("/costs/", True), ("/queue/", False)])
def test_shortcuts_list_the_filter_only_on_pages_that_have_one(
    viewer: User, open_page: OpenPage, path: str, is_offered: bool
) -> None:
    page = open_page(viewer, path)
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    assert page.get_by_text("Filter this page").is_visible() is is_offered


def test_the_current_page_is_visible_in_a_navigation_that_is_higher_than_the_screen(
    owner: User, open_page: OpenPage
) -> None:
    page = open_page(owner, "/audit/", {"width": 1440, "height": 500})
    expect(page.locator("#navigation [aria-current='page']")).to_be_in_viewport(ratio=1)
    assert page.evaluate("scrollY") == 0


def test_switching_organizations_stays_on_the_same_page(
    viewer: User, other_organization: Organization, open_page: OpenPage
) -> None:
    Membership.objects.create(user=viewer, organization=other_organization, role=Role.VIEWER)
    page = open_page(viewer, "/costs/")
    page.get_by_label("Organization:").click()
    page.get_by_role("button", name="South Ltd").click()
    expect(page.locator("#toasts")).to_contain_text("South Ltd")
    assert page.url.endswith("/costs/")


PART = "htmx.trigger(document.querySelector('[data-live]'), 'refresh')"
CHARTS = "document.dispatchEvent(new CustomEvent('charts:refresh'))"


@pytest.mark.parametrize(
    ("path", "refresh"), [("/queue/", PART), ("/queue/", CHARTS), ("/queue/requests/?priority=high", PART)]
)
def test_an_ended_session_redirects_to_login_and_back(
    submit: Submit, viewer: User, open_page: OpenPage, path: str, refresh: str
) -> None:
    submit()
    page = open_page(viewer, path)
    page.evaluate(
        "localStorage.setItem('refresh', '0')"
    )  # otherwise a poll could be the first request after the session ended
    page.reload()
    page.wait_for_load_state("networkidle")
    Session.objects.all().delete()
    page.evaluate(refresh)
    page.wait_for_url(re.compile("/login/.next="))
    expect(page.get_by_role("main")).to_have_count(1)
    page.get_by_label("Username").fill("viewer")
    page.get_by_label("Password").fill("a long password")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(re.escape(path) + "$"))
    page.problems[:] = [each for each in page.problems if "401" not in each]  # type: ignore[attr-defined]


def test_printing_shows_the_tables_of_charts(submit: Submit, viewer: User, open_page: OpenPage) -> None:
    submit()
    page = open_page(viewer, "/queue/")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    tables = page.locator(".chart-table table")
    expect(tables).to_have_count(0)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.get_by_text("Show the table")).to_have_count(0)
    assert tables.count() > 0
    assert all(tables.nth(number).is_visible() for number in range(tables.count()))
    expect(page.locator(".chart").first).to_be_hidden()
    expect(page.locator("h1")).to_have_css("color", "rgb(22, 26, 34)")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator(".chart-table[open]")).to_have_count(0)
    assert not was_reloaded(page)


def test_short_names_are_not_truncated(operator: User, open_page: OpenPage) -> None:
    page = open_page(operator, "/queue/")
    for name in page.locator(".topbar .cut").all():
        assert name.evaluate("(e) => e.scrollWidth <= e.clientWidth")


def test_a_long_key_name_does_not_push_buttons_out_of_the_table(
    organization: Organization, owner: User, open_page: OpenPage
) -> None:
    create_key(organization=organization, name="x" * 100, role=Role.VIEWER, actor="user:owner")
    page = open_page(owner, "/settings/keys/")
    for width in (390, 1280, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate(OVERHANG) <= 0, width


def test_long_names_do_not_widen_the_page(operator: User, organization: Organization, open_page: OpenPage) -> None:
    long = "شركة الاختبار العربية للخدمات السحابية 株式会社とても長い名前のテスト組織 Incorporated Limited"
    Organization.objects.filter(pk=organization.pk).update(name=long)
    User.objects.filter(pk=operator.pk).update(username="a.very.long.address@department.subsidiary.example-company.com")
    page = open_page(operator, "/queue/")
    for width in (320, 390, 768, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate(OVERHANG) <= 0, width
        for menu in page.locator(".topbar summary").all():
            expect(menu).to_be_in_viewport(ratio=1)

"""What every page does: the filter's shortcut, another organization, an ended session, printing."""

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
def test_a_slash_goes_to_the_filter_of_the_page(viewer: User, open_page: OpenPage, path: str, field: str) -> None:
    page = open_page(viewer, path)
    page.keyboard.press("/")
    expect(page.locator(f"#{field}")).to_be_focused()


@pytest.mark.parametrize(("path", "is_offered"), [("/costs/", True), ("/queue/", False)])
def test_the_list_of_shortcuts_offers_the_filter_where_there_is_one(
    viewer: User, open_page: OpenPage, path: str, is_offered: bool
) -> None:
    page = open_page(viewer, path)
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    assert page.get_by_text("Filter this page").is_visible() is is_offered


def test_another_organization_opens_on_the_same_page(
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
def test_an_ended_session_leads_to_the_log_in_page_and_back_to_the_page(
    submit: Submit, viewer: User, open_page: OpenPage, path: str, refresh: str
) -> None:
    submit()
    page = open_page(viewer, path)
    page.evaluate("localStorage.setItem('refresh', '0')")  # a poll could be the first to find the session ended
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


def test_on_paper_the_tables_of_the_charts_are_filled(submit: Submit, viewer: User, open_page: OpenPage) -> None:
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


def test_short_names_are_shown_whole(operator: User, open_page: OpenPage) -> None:
    page = open_page(operator, "/queue/")
    for name in page.locator(".topbar .cut").all():
        assert name.evaluate("(e) => e.scrollWidth <= e.clientWidth")


def test_a_long_name_of_a_key_keeps_the_buttons_in_the_table(
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

"""The API reference in a real browser."""

from playwright.sync_api import expect

from aiinfra.tenants.models import User
from tests.browser.conftest import OpenPage
from tests.browser.test_pages import assert_is_usable


def test_reference_links_lead_to_their_sections(viewer: User, open_page: OpenPage) -> None:
    page = open_page(viewer, "/reference/")
    page.get_by_role("navigation", name="Contents").get_by_role("link", name="/api/ai/aliases").click()
    expect(page.get_by_role("heading", name="/api/ai/aliases")).to_be_in_viewport()
    page.get_by_role("link", name="POST Create or change an alias").click()
    expect(page).to_have_url(f"{page.url.partition('/reference')[0]}/reference/#post-api-ai-aliases-set")
    assert_is_usable(page)

"""The fallback routes page in a real browser."""

from playwright.sync_api import Page

from aiinfra.tenants.models import User
from tests.browser.conftest import NARROW, WIDE, OpenPage


def markers(page: Page) -> list[str]:
    """The list markers, as shown on screen and read by screen readers."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    return [
        node["name"]["value"].strip() for node in tree["nodes"] if node.get("role", {}).get("value") == "ListMarker"
    ]


def test_the_steps_of_a_chain_are_numbered(viewer: User, open_page: OpenPage) -> None:
    page = open_page(viewer, "/settings/routes/")
    for viewport in (WIDE, NARROW):
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        chains = page.locator(".route-steps").all()
        steps = [chain.locator("li").count() for chain in chains]
        assert max(steps) > 1
        assert markers(page) == [f"{number}." for count in steps for number in range(1, count + 1)]

"""What holds for every page of the operator, in a real browser."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from aiinfra.tenants.models import User
from queue_app.claims import Claim
from queue_app.models import AIRequest
from queue_app.processing import process
from tests.browser.conftest import NARROW, WIDE, OpenPage
from tests.queue_app.conftest import ScriptedProvider, refusal
from tests.queue_app.test_live_view import beat
from tests.support.processes import wait_until

PAGES = ["live", "requests", "request", "table"]
by_page = pytest.mark.parametrize("name", PAGES)

UNNAMED = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, summary")]
  .filter((e) => e.checkVisibility() && !(e.ariaLabel || e.labels?.length || e.innerText?.trim() || e.title))
  .map((e) => e.outerHTML)"""
OVERHANG = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
DOUBLE_IDS = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  return ids.filter((id, at) => ids.indexOf(id) !== at);
}"""
HEADING_LEVELS = """() => [...document.querySelectorAll("h1, h2, h3, h4")].filter((e) => e.checkVisibility())
  .map((e) => Number(e.tagName[1]))"""
FAINT_TEXT = """() => {
  const parts = (colour) => {
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  const faint = new Set();
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !e.checkVisibility()) continue;
    if (e.closest("svg, .visually-hidden, :disabled")) continue;
    const ratio = contrast(light(parts(getComputedStyle(e).color).slice(0, 3)), light(behind(e)));
    if (ratio < 4.5) faint.add(`${e.className || e.tagName} ${ratio.toFixed(2)}`);
  }
  return [...faint];
}"""


@pytest.fixture
def path_of(
    submit: Callable[..., AIRequest], claimed: Callable[..., Claim], provider: ScriptedProvider
) -> Callable[[str], str]:
    """The address of each page, with one request that failed and others that wait."""
    provider.script = [refusal("INVALID_REQUEST")]
    claim = claimed(max_retries=0, user_ref="a-user-with-quite-a-long-name@department.example.com", tags=["finance"])
    process(claim)
    for _ in range(3):
        submit(conversation_id="c" * 100)
    beat("worker")
    paths = {
        "live": "/queue/",
        "requests": "/queue/requests/",
        "request": f"/queue/requests/{claim.request.id}/",
        "table": "/queue/figures/throughput/table/",
    }
    return lambda name: paths[name]


def settle(page: Page) -> None:
    """Wait until nothing is loading."""
    page.wait_for_load_state("networkidle")
    expect(page.locator("[data-state=loading]")).to_have_count(0)


@by_page
def test_a_page_loads_without_a_word_on_the_console(
    name: str, path_of: Callable[[str], str], operator: User, open_page: OpenPage
) -> None:
    page = open_page(operator, path_of(name))
    settle(page)
    assert page.problems == []  # type: ignore[attr-defined]


@by_page
def test_a_page_never_scrolls_sideways(
    name: str, path_of: Callable[[str], str], operator: User, open_page: OpenPage
) -> None:
    User.objects.filter(pk=operator.pk).update(is_staff=True)
    page = open_page(operator, path_of(name), NARROW)
    settle(page)
    for width in (320, 390, 768, 1024):
        page.set_viewport_size({"width": width, "height": NARROW["height"]})
        wait_until(lambda: page.evaluate(OVERHANG) <= 0, f"nothing to stick out at {width} pixels")


@by_page
def test_a_page_has_landmarks_one_first_heading_and_no_gap_in_the_others(
    name: str, path_of: Callable[[str], str], operator: User, open_page: OpenPage
) -> None:
    page = open_page(operator, path_of(name))
    settle(page)
    for landmark in ("main", "banner"):
        expect(page.get_by_role(landmark)).to_have_count(1)
    expect(page.get_by_role("navigation", name="Main")).to_have_count(1)
    levels = page.evaluate(HEADING_LEVELS)
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.title()


@by_page
def test_everything_that_can_be_used_has_a_name_and_ids_are_unique(
    name: str, path_of: Callable[[str], str], operator: User, open_page: OpenPage
) -> None:
    page = open_page(operator, path_of(name))
    settle(page)
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(DOUBLE_IDS) == []
    assert page.locator("img:not([alt])").count() == 0
    assert page.locator("th:not([scope])").count() == 0


@by_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_enough(
    name: str, scheme: str, path_of: Callable[[str], str], operator: User, open_page: OpenPage
) -> None:
    page = open_page(operator, path_of(name), WIDE, color_scheme=scheme)
    settle(page)
    assert page.evaluate(FAINT_TEXT) == []

"""`assert_is_usable`, the checks for every page in a real browser, and tests of the queue pages."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization, User
from cost_app.budgets.manage import set_budget
from cost_app.budgets.terms import BudgetTerms
from queue_app.models import AIRequest
from queue_app.ordering.claims import Claim
from queue_app.processing.provider_call import process
from tests.browser.conftest import NARROW, WIDE, OpenPage
from tests.queue_app.conftest import ScriptedProvider, refusal
from tests.queue_app.test_live_view import beat
from tests.support.processes import wait_until

WIDTHS = (320, 390, 768, 1024)

UNNAMED = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, summary")]
  .filter((e) => e.checkVisibility() && !(e.ariaLabel || e.labels?.length || e.innerText?.trim() || e.title))
  .map((e) => e.outerHTML)"""
OVERHANG = """Math.max(
  document.documentElement.scrollWidth - document.documentElement.clientWidth,
  ...[...document.querySelectorAll(".table-wrap")]
    .filter((e) => getComputedStyle(e).overflowX === "clip")
    .map((e) => e.scrollWidth - e.clientWidth - 1),
)"""
DOUBLE_IDS = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  return ids.filter((id, at) => ids.indexOf(id) !== at);
}"""
HEADING_LEVELS = """() => [...document.querySelectorAll("h1, h2, h3, h4")].filter((e) => e.checkVisibility())
  .map((e) => Number(e.tagName[1]))"""
FAINT_TEXT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = {};
  const parts = (color) => (known[color] ??= read(color));
  const read = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const color = parts(getComputedStyle(e).backgroundColor);
      if (color[3] === 255) return color.slice(0, 3);
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


def settle(page: Page) -> None:
    """Wait until the page has finished loading."""
    page.wait_for_load_state("networkidle")
    expect(page.locator("[data-state=loading]")).to_have_count(0)


def assert_is_usable(page: Page) -> None:
    """Check landmarks, headings, accessible names, and contrast, in light and dark mode, from phone to desktop.

    The page must be open in the wide viewport and light mode. `open_page` checks the console.
    """
    settle(page)
    for landmark in ("main", "banner"):
        expect(page.get_by_role(landmark)).to_have_count(1)
    expect(page.get_by_role("navigation", name="Main")).to_have_count(1)
    levels = page.evaluate(HEADING_LEVELS)
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.title()
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(DOUBLE_IDS) == []
    assert page.locator("img:not([alt])").count() == 0
    assert page.locator("th:not([scope])").count() == 0
    assert page.evaluate(FAINT_TEXT) == []
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="dark")
    page.reload()
    settle(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": NARROW["height"]})
        wait_until(lambda: page.evaluate(OVERHANG) <= 0, f"nothing to stick out at {width} pixels")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    assert page.evaluate(FAINT_TEXT) == []


def test_queue_pages_are_usable(
    submit: Callable[..., AIRequest],
    claimed: Callable[..., Claim],
    provider: ScriptedProvider,
    operator: User,
    open_page: OpenPage,
    subtests: pytest.Subtests,
) -> None:
    """With one failed request and several pending ones."""
    User.objects.filter(pk=operator.pk).update(is_staff=True, is_superuser=True)
    provider.script = [refusal("INVALID_REQUEST")]
    claim = claimed(max_retries=0, user_ref="a-user-with-quite-a-long-name@department.example.com", tags=["finance"])
    process(claim)
    for _ in range(3):
        submit(conversation_id="c" * 100)
    beat("worker")
    for path in ("", "requests/", f"requests/{claim.request.id}/", "figures/throughput/table/"):
        with subtests.test(path=path):
            assert_is_usable(open_page(operator, f"/queue/{path}"))


STACK_ACCENTS = """row => {
  const texts = document.createTreeWalker(row, NodeFilter.SHOW_TEXT, (text) =>
    text.data.trim() ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_SKIP);
  const name = texts.nextNode();
  name.data = name.data.trimEnd() + "\\u0301".repeat(80);
}"""


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "phone"])
def test_stacked_accents_stay_in_their_row(
    organization: Organization, owner: User, open_page: OpenPage, viewport: dict[str, int]
) -> None:
    for name in ("cargo", "tango"):
        create_key(organization=organization, name=name, role=Role.OPERATOR, actor="user:owner")
    page = open_page(owner, "/settings/keys/", viewport)
    above, below = (page.get_by_role("row", name=name) for name in ("tango", "cargo"))
    before = above.screenshot()
    below.evaluate(STACK_ACCENTS)
    assert above.screenshot() == before


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "phone"])
def test_stacked_accents_stay_in_their_heading(
    organization: Organization, owner: User, open_page: OpenPage, viewport: dict[str, int]
) -> None:
    terms = BudgetTerms(period="monthly", limit_nano=10**9, scope="tag", scope_value="cargo")
    budget = set_budget(organization_id=organization.pk, terms=terms, actor="user:owner")
    page = open_page(owner, f"/budgets/{budget.pk}/", viewport)
    around = [page.locator(".breadcrumb"), page.locator(".page-head-text p")]
    before = [each.screenshot() for each in around]
    page.locator("h1").evaluate(STACK_ACCENTS)
    assert [each.screenshot() for each in around] == before

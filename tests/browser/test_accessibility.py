"""axe-core finds no violations on pages and in open dialogs, wide and narrow, in light and dark mode."""

from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from aiinfra.context_processors import NAVIGATION
from aiinfra.demo.history import make_history
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.finance.month_close import close_month
from cost_app.finance.months import months_of
from cost_app.models import Alert, Budget, Recommendation
from cost_app.recommendations.compute import compute_recommendations
from queue_app.models import AIRequest
from tests.browser.conftest import NARROW, WIDE, OpenPage
from tests.browser.test_pages import settle
from tests.cache_app.learning.made import make_entry

AXE = (Path(__file__).parent / "axe-core/axe.min.js").read_text()
VIOLATIONS = """async ([scheme, rules]) => {
  document.documentElement.dataset.theme = scheme;
  document.dispatchEvent(new CustomEvent("themechange"));
  const found = await axe.run({resultTypes: ["violations"], ...rules});
  return found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}`));
}"""
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
EVERY_RULE: dict[str, object] = {}
CONTRAST = {"runOnly": ["color-contrast"]}
LOOKS: list[tuple[dict[str, int], str, dict[str, object]]] = [
    (WIDE, "light", EVERY_RULE),
    (WIDE, "dark", CONTRAST),
    (NARROW, "dark", EVERY_RULE),
    (NARROW, "light", CONTRAST),
]
"""Only contrast depends on the color scheme."""
DIALOGS = [
    ("/queue/", "#shortcuts"),
    ("/settings/keys/", "#new-key"),
    ("/settings/members/", "#invite"),
    ("/settings/aliases/", "#new-alias"),
    ("/finance/invoices/", "#upload"),
]


@pytest.fixture
def paths(queue: None, organization: Organization, redis_url: str) -> list[str]:
    """The paths of all pages, in an organization with calls, costs, a key, and one object for each detail page."""
    keys.create_key(organization=organization, name="bot", role=Role.OPERATOR, actor="command:test")
    with organization_scope(organization.pk):
        make_history(organization, days=60, requests=900, seed=7, force=True)
        compute_recommendations(organization.pk)
        alert = Alert.objects.create(
            organization=organization, kind="cost_spike", severity="high", cause="x", message="Today has cost $12.00."
        )
        month = months_of(organization.pk)[1]
        close_month(organization=organization, month=month, actor="user:owner")
        details = [
            reverse("queue_request", args=[AIRequest.objects.order_by("-created_at")[0].pk]),
            reverse("budget", args=[Budget.objects.order_by("id")[0].pk]),
            reverse("budget_create"),
            reverse("alert", args=[alert.pk]),
            reverse("recommendation", args=[Recommendation.objects.order_by("id")[0].pk]),
            reverse("finance_closed", args=[month.slug]),
            reverse("cache_entry", args=[make_entry(organization).id]),
        ]
    return [*(reverse(each.url_name) for each in NAVIGATION), *details]


def test_axe_finds_no_violations_on_pages(
    paths: list[str], owner: User, open_page: OpenPage, subtests: pytest.Subtests
) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    page = open_page(owner, "/settings/keys/", bypass_csp=True)
    for path in paths:
        with subtests.test(path=path):
            page.goto(path)
            settle(page)
            assert violations(page) == []


def test_axe_finds_no_violations_in_open_dialogs(owner: User, open_page: OpenPage, subtests: pytest.Subtests) -> None:
    page = open_page(owner, "/queue/", bypass_csp=True)
    for path, dialog in DIALOGS:
        with subtests.test(dialog=dialog):
            page.goto(path)
            page.evaluate(f"openDialog(document.querySelector({dialog!r}))")
            expect(page.locator(dialog)).to_be_visible()
            assert violations(page) == []


def violations(page: Page) -> list[str]:
    """`width scheme rule: selector` of each violation on the open page."""
    page.add_style_tag(content=STILL)
    page.evaluate(AXE)
    found: list[str] = []
    for viewport, scheme, rules in LOOKS:
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        found += [f"{viewport['width']} {scheme} {each}" for each in page.evaluate(VIOLATIONS, [scheme, rules])]
    return found

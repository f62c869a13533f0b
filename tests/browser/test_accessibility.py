"""axe-core finds no violation on any page of the navigation, wide and light, narrow and dark."""

from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page

from aiinfra.context_processors import NAVIGATION
from aiinfra.demo.history import make_history
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from tests.browser.conftest import NARROW, WIDE, OpenPage
from tests.browser.test_pages import settle

AXE = (Path(__file__).parent / "axe-core/axe.min.js").read_text()
VIOLATIONS = """async () => (await axe.run({resultTypes: ["violations"]})).violations
  .flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target.join(" ")}`))"""
LOOKS = [(WIDE, "light"), (NARROW, "dark")]


@pytest.fixture
def populated(queue: None, organization: Organization) -> None:
    """Calls, costs and a key: what is empty has little to violate."""
    with organization_scope(organization.pk):
        make_history(organization, days=3, requests=60, seed=7, force=True)
    keys.create_key(organization=organization, name="bot", role=Role.OPERATOR, actor="command:test")


@pytest.mark.parametrize(("viewport", "scheme"), LOOKS, ids=["wide and light", "narrow and dark"])
def test_axe_finds_no_violation(
    populated: None,
    owner: User,
    open_page: OpenPage,
    subtests: pytest.Subtests,
    viewport: dict[str, int],
    scheme: Any,
) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    page = open_page(owner, "/settings/keys/", viewport, color_scheme=scheme, bypass_csp=True)
    for each in NAVIGATION:
        with subtests.test(page=each.title):
            page.goto(reverse(each.url_name))
            settle(page)
            assert violations(page) == []


def violations(page: Page) -> list[str]:
    """`rule: selector` of everything that axe objects to on the open page."""
    page.evaluate(AXE)
    found: list[str] = page.evaluate(VIOLATIONS)
    return found

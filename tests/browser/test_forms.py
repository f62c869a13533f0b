"""Layout of fields, choices, and help texts."""

import pytest
from playwright.sync_api import expect

from aiinfra.tenants.models import User
from tests.browser.conftest import NARROW, WIDE, OpenPage

SQUEEZED = """() => [...document.querySelectorAll("fieldset .helptext")].filter((e) => e.checkVisibility())
  .filter((e) => {
    const text = document.createRange();
    text.selectNodeContents(e);
    const hasSeveralLines = text.getClientRects().length > 1;
    return hasSeveralLines && text.getBoundingClientRect().width < 0.6 * e.parentElement.clientWidth;
  }).map((e) => e.innerText)"""


@pytest.mark.parametrize("viewport", [WIDE, NARROW])
def test_help_texts_use_the_full_width_below_their_choices(
    owner: User, open_page: OpenPage, viewport: dict[str, int]
) -> None:
    page = open_page(owner, "/settings/keys/?new", viewport)
    page.get_by_text("Limits, models, and endpoints").click()
    expect(page.get_by_text("Where the key can send calls")).to_be_visible()
    assert page.evaluate(SQUEEZED) == []


def test_an_alias_is_added_to_a_key_from_the_list(owner: User, open_page: OpenPage) -> None:
    page = open_page(owner, "/settings/keys/?new")
    page.get_by_text("Limits, models, and endpoints").click()
    page.get_by_label("Allowed models").fill("gpt-4")
    choices = page.get_by_label("Add an alias or a model")
    choices.select_option("cheap")
    expect(page.get_by_label("Allowed models")).to_have_value("gpt-4, cheap")
    choices.select_option("cheap")
    expect(page.get_by_label("Allowed models")).to_have_value("gpt-4, cheap")

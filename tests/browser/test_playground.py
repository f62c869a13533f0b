"""The playground: quotes, streamed answers, progress steps, and errors."""

import re

import pytest
from playwright.sync_api import Page, expect

from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.budgets.manage import set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.models import LedgerEntry
from queue_app.models import AIRequest
from tests.browser.conftest import NARROW, WIDE, OpenPage
from tests.browser.test_pages import assert_is_usable
from tests.gateway.stepwise import MODEL, Stepwise, stepwise

__all__ = ["stepwise"]

COST = "$0.00003"
"""For the provider's 10 input and 2 output tokens."""


def quote(page: Page, message: str = "How do I plan a garden?") -> None:
    page.get_by_label("Model", exact=True).select_option(MODEL.partition("/")[2])
    page.get_by_label("Message").fill(message)
    page.get_by_role("button", name="Get a quote").click()


def requests() -> int:
    with system_scope():
        return AIRequest.objects.count()


@pytest.mark.parametrize("viewport", [WIDE, NARROW])
def test_an_answer_is_streamed_with_its_steps_and_cost(
    stepwise: Stepwise, operator: User, open_page: OpenPage, viewport: dict[str, int]
) -> None:
    page = open_page(operator, "/playground/", viewport)
    quote(page)
    send = page.get_by_role("button", name=re.compile(r"^Send for at most \$0\.00\d+ per attempt$"))
    expect(send).to_be_focused()
    assert requests() == 0, "a quote must not send a request"
    stepwise.send_text("Begin with ")
    send.click()
    answer = page.locator("[data-answer]")
    expect(answer).to_have_text("Begin with ")
    expect(page.locator("#playground-steps")).to_contain_text("sent, waiting for the answer")
    stepwise.send_text("the sun.")
    expect(answer).to_have_text("Begin with the sun.")
    stepwise.finish()
    steps = page.locator("#playground-steps")
    expect(steps).to_contain_text("10 tokens in, 2 out")
    expect(steps.locator("dd").last).to_have_text(COST)
    expect(page.locator("[data-timing]")).to_contain_text("first token after")
    with system_scope():
        request, entry = AIRequest.objects.get(), LedgerEntry.objects.get()
    assert (request.tags, request.user_ref, entry.nano) == (["playground"], "operator", 30_000)
    steps.get_by_role("link", name="Open the request").click()
    expect(page).to_have_url(f"{page.url.partition('/queue')[0]}/queue/requests/{request.pk}/")


def test_a_changed_form_needs_a_new_quote(stepwise: Stepwise, operator: User, open_page: OpenPage) -> None:
    page = open_page(operator, "/playground/")
    quote(page)
    expect(page.locator("[data-send]")).to_be_visible()
    page.get_by_label("Maximum output tokens").fill("999")
    expect(page.locator("[data-send]")).to_be_hidden()
    assert requests() == 0


def test_a_blocking_budget_is_named_and_nothing_is_charged(
    stepwise: Stepwise, organization: Organization, operator: User, open_page: OpenPage
) -> None:
    with organization_scope(organization.pk):
        terms = BudgetTerms(period="monthly", limit_nano=1, enforcement="block")
        set_budget(organization_id=organization.pk, terms=terms, actor="command:test")
    page = open_page(operator, "/playground/")
    quote(page)
    expect(page.locator("[data-value=left]")).to_contain_text("not enough for this call")
    page.locator("[data-send]").click()
    alert = page.locator("[data-failure]")
    expect(alert).to_contain_text("A budget refuses this call.")
    assert requests() == 0
    page.problems[:] = [each for each in page.problems if "402" not in each]  # type: ignore[attr-defined]


def test_an_interrupted_answer_links_to_its_request(stepwise: Stepwise, operator: User, open_page: OpenPage) -> None:
    page = open_page(operator, "/playground/")
    quote(page)
    stepwise.send_text("Begin ")
    page.locator("[data-send]").click()
    expect(page.locator("[data-answer]")).to_have_text("Begin ")
    stepwise.close_connection()
    alert = page.locator("[data-failure]")
    expect(alert).to_contain_text("The stream ended before the answer did")
    with system_scope():
        path = f"/queue/requests/{AIRequest.objects.get().pk}/"
    expect(alert.get_by_role("link", name="Open the request")).to_have_attribute("href", path)


def test_a_call_can_be_stopped(stepwise: Stepwise, operator: User, open_page: OpenPage) -> None:
    page = open_page(operator, "/playground/")
    quote(page)
    stepwise.send_text("Begin ")
    page.locator("[data-send]").click()
    expect(page.locator("[data-answer]")).to_have_text("Begin ")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("[data-failure]")).to_contain_text("You stopped the call.")
    expect(page.get_by_role("button", name="Get a quote")).to_be_enabled()


def test_the_playground_is_usable(stepwise: Stepwise, operator: User, open_page: OpenPage) -> None:
    page = open_page(operator, "/playground/")
    quote(page)
    expect(page.locator("[data-send]")).to_be_visible()
    assert_is_usable(page)

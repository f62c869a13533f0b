"""Pages are updated by live events, or by polling if no stream is available."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request, Route, expect

from aiinfra.gateway import event_stream, events
from aiinfra.gateway.connection_slots import ConnectionSlots
from aiinfra.tenants.models import Organization, User
from cost_app.budgets.events import publish_budget_changes
from cost_app.budgets.manage import set_budget
from cost_app.budgets.terms import BudgetTerms
from queue_app.models import AIRequest
from queue_app.ordering.claims import claim_next
from queue_app.processing.provider_call import process
from tests.browser.conftest import OpenPage, was_reloaded
from tests.queue_app.conftest import ScriptedProvider
from tests.support.processes import wait_until

Submit = Callable[..., AIRequest]


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> ConnectionSlots:
    """Stream slots that only this test uses."""
    fresh = ConnectionSlots(8)
    monkeypatch.setattr(events, "slots", fresh)
    monkeypatch.setattr(event_stream, "slots", fresh)
    return fresh


def wait_for_stream(page: Page) -> None:
    """Wait for the stream and stop polling, so that only an event can refresh the page."""
    wait_until(lambda: page.evaluate("isLive"), "the stream")
    page.evaluate("clearInterval(timer)")


def test_the_queue_page_shows_a_new_request_without_polling(
    slots: ConnectionSlots, submit: Submit, viewer: User, open_page: OpenPage
) -> None:
    submit()
    page = open_page(viewer, "/queue/")
    wait_for_stream(page)
    submit()
    expect(page.locator(".queue-tiles .tile-value").first).to_have_text("2")
    assert not was_reloaded(page)


def test_the_request_page_follows_the_request_and_closes_its_stream_at_the_end(
    slots: ConnectionSlots, submit: Submit, viewer: User, open_page: OpenPage, provider: ScriptedProvider
) -> None:
    request = submit()
    page = open_page(viewer, f"/queue/requests/{request.id}/")
    wait_for_stream(page)
    claim = claim_next("worker")
    assert claim is not None
    expect(page.locator(".queue-request-head")).to_contain_text("processing", ignore_case=True)
    process(claim)
    expect(page.locator("[data-live-state]")).to_have_text("Ended")
    expect(page.locator(".queue-request-head")).to_contain_text("completed", ignore_case=True)
    assert page.evaluate("live.source") is None


def test_the_budgets_page_shows_reservations_without_polling(
    slots: ConnectionSlots, submit: Submit, viewer: User, organization: Organization, open_page: OpenPage
) -> None:
    terms = BudgetTerms(period="monthly", limit_nano=1_000_000_000)
    set_budget(organization_id=organization.pk, terms=terms, actor="command:test")
    page = open_page(viewer, "/budgets/")
    wait_for_stream(page)
    before = page.locator("td[data-label=Reserved]").inner_text()
    submit()
    publish_budget_changes()
    expect(page.locator("td[data-label=Reserved]")).not_to_have_text(before)
    assert not was_reloaded(page)


def test_concurrent_changes_are_combined_into_few_refreshes(
    slots: ConnectionSlots, submit: Submit, viewer: User, open_page: OpenPage
) -> None:
    page = open_page(viewer, "/queue/")
    wait_for_stream(page)
    for _ in range(10):
        submit()
    expect(page.locator(".queue-tiles .tile-value").first).to_have_text("10")
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/queue/") else None)
    page.evaluate("for (let number = 0; number < 30; number++) document.dispatchEvent(new Event('live:change'))")
    wait_until(lambda: page.evaluate("changesTimer === null"), "the refresh")
    page.wait_for_load_state("networkidle")
    assert 0 < len(asked) < 3  # the last of the ten requests may cause another refresh


@pytest.mark.parametrize("status", [429, 503])
def test_the_page_polls_if_no_stream_slot_is_free(
    slots: ConnectionSlots, submit: Submit, viewer: User, open_page: OpenPage, status: int
) -> None:
    submit()
    page = open_page(viewer, "/login/")
    tries: list[str] = []

    def refuse(route: Route) -> None:
        tries.append(route.request.url)
        route.fulfill(status=status, body="{}")

    page.route("**/api/ai/events*", refuse)
    page.goto("/queue/")
    expect(page.locator("[data-refresh-label]")).to_have_text("2 s")
    # The page retries after 30 s, which refreshes on a busy machine can exceed, so extend the pause.
    stop = "live.retry !== null && (clearTimeout(live.retry), true)"
    wait_until(lambda: page.evaluate(stop), "the pause")
    refused = len(tries)
    for number in range(2, 6):
        submit()
        expect(page.locator(".queue-tiles .tile-value").first).to_have_text(str(number))
    assert len(tries) == refused, "the page retried the stream with a refresh"
    with page.expect_response("**/api/ai/events*"):
        page.evaluate("forgetRefusal()")
    page.problems[:] = [each for each in page.problems if str(status) not in each]  # type: ignore[attr-defined]


def test_a_page_set_to_polling_opens_no_stream(
    slots: ConnectionSlots, submit: Submit, viewer: User, open_page: OpenPage
) -> None:
    submit()
    page = open_page(viewer, "/queue/")
    wait_for_stream(page)
    page.locator("[data-refresh-menu] summary").click()
    page.get_by_role("button", name="Every second").press("Enter")
    expect(page.locator("[data-refresh-label]")).to_have_text("1 s")
    assert page.evaluate("live.source") is None
    submit()
    expect(page.locator(".queue-tiles .tile-value").first).to_have_text("2")
    page.locator("[data-refresh-menu] summary").click()
    page.get_by_role("button", name="When something changes").click()
    expect(page.locator("[data-refresh-label]")).to_have_text("On change")


def test_a_hidden_tab_closes_its_stream_and_reopens_it_when_visible(
    slots: ConnectionSlots, submit: Submit, viewer: User, open_page: OpenPage
) -> None:
    submit()
    page = open_page(viewer, "/queue/")
    wait_for_stream(page)
    hide = "(isHidden) => { Object.defineProperty(document, 'hidden', {value: isHidden, configurable: true});"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(hide, True)
    assert page.evaluate("live.source") is None
    submit()
    page.evaluate(hide, False)
    expect(page.locator("[data-refresh-label]")).to_have_text("On change")
    expect(page.locator(".queue-tiles .tile-value").first).to_have_text("2")

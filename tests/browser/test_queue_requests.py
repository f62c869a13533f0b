from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from aiinfra.tenants.models import User
from aiinfra.tenants.scope import organization_scope
from queue_app import control
from queue_app.models import AIRequest, Priority
from queue_app.ordering.claims import Claim
from queue_app.processing.provider_call import process
from tests.browser.conftest import OpenPage, was_reloaded
from tests.queue_app.conftest import ScriptedProvider, answer
from tests.support.processes import wait_until

Submit = Callable[..., AIRequest]
CHANGES = "**/queue/requests/changes/?**"
"""The URL that refreshes the list."""


def status_of(request: AIRequest) -> str:
    with organization_scope(request.organization_id):
        return AIRequest.objects.get(id=request.id).status


def tab_to(page: Page, selector: str, limit: int = 80) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(limit):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached with Tab")


def test_filters_update_the_table_and_the_url(submit: Submit, operator: User, open_page: OpenPage) -> None:
    submit(priority=Priority.HIGH)
    submit(priority=Priority.LOW)
    page = open_page(operator, "/queue/requests/")
    expect(page.locator("#requests tbody tr")).to_have_count(2)
    page.get_by_label("Priority").select_option("high")
    expect(page.locator("#requests tbody tr")).to_have_count(1)
    assert page.url.endswith("/queue/requests/?priority=high")
    assert not was_reloaded(page)
    page.reload()
    expect(page.locator("#requests tbody tr")).to_have_count(1)
    page.get_by_label("Status").select_option("failed")
    page.get_by_role("link", name="Clear the filters").click()
    expect(page.locator("#requests tbody tr")).to_have_count(2)


def confirm(page: Page, label: str) -> None:
    """Confirm the dialog."""
    page.locator("#confirm-dialog").get_by_role("button", name=label, exact=True).click()


def test_a_request_is_cancelled_from_the_list_with_the_keyboard(
    submit: Submit, operator: User, open_page: OpenPage
) -> None:
    request = submit()
    page = open_page(operator, "/queue/requests/")
    tab_to(page, f"#cancel-{request.id}")
    page.keyboard.press("Enter")
    expect(page.locator("#confirm-dialog")).to_contain_text(f"Cancel request {request.id.hex[:8]}?")
    page.keyboard.press("Escape")
    expect(page.locator(f"#cancel-{request.id}")).to_be_focused()
    assert status_of(request) == "pending"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("1 request cancelled.")
    expect(page.locator("#requests")).to_contain_text("cancelled")
    assert status_of(request) == "cancelled"
    assert not was_reloaded(page)


def test_selected_requests_stay_selected_and_are_cancelled_together(
    submit: Submit, operator: User, open_page: OpenPage
) -> None:
    requests = [submit() for _ in range(3)]
    page = open_page(operator, "/queue/requests/")
    page.get_by_label("Select all on this page").check()
    page.wait_for_timeout(2_500)
    expect(page.locator("#requests [name=id]:checked")).to_have_count(3)
    page.get_by_role("button", name="Cancel selected").click()
    page.get_by_role("button", name="Cancel 3 requests").click()
    expect(page.locator("#toasts")).to_contain_text("3 requests cancelled.")
    assert {status_of(request) for request in requests} == {"cancelled"}


def test_enter_on_a_checkbox_does_not_cancel(submit: Submit, operator: User, open_page: OpenPage) -> None:
    request = submit()
    page = open_page(operator, "/queue/requests/")
    page.locator(f"#tick-{request.id}").check()
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)
    assert status_of(request) == "pending"


def test_clicking_a_row_opens_the_request(submit: Submit, viewer: User, open_page: OpenPage) -> None:
    request = submit()
    page = open_page(viewer, "/queue/requests/")
    page.locator("#requests tbody tr").click()
    page.wait_for_url(f"**/queue/requests/{request.id}/")
    expect(page.get_by_role("heading", level=1)).to_contain_text(request.id.hex[:8])


def test_new_requests_are_announced_without_moving_the_rows(
    submit: Submit, operator: User, open_page: OpenPage
) -> None:
    first = [submit() for _ in range(3)]
    page = open_page(operator, "/queue/requests/")
    link = page.locator(f"#open-{first[1].id}")
    page.locator(f"#tick-{first[0].id}").check()
    link.focus()
    before = link.bounding_box()
    submit()
    submit()
    with organization_scope(first[1].organization_id):
        control.cancel(first[0], actor="user:x")
        control.cancel(first[1], actor="user:x")
    news = page.get_by_role("link", name="2 new requests")
    expect(news).to_be_visible()
    for changed in first[:2]:
        expect(page.locator(f"#request-{changed.id}")).to_contain_text("cancelled")
    expect(page.locator("#requests tbody tr")).to_have_count(3)
    assert link.bounding_box() == before
    expect(link).to_be_focused()
    expect(page.locator(f"#tick-{first[0].id}")).to_be_checked()
    news.press("Enter")
    expect(page.locator("#requests tbody tr")).to_have_count(5)
    expect(page.locator("#show-news")).to_have_count(0)
    assert not was_reloaded(page)


def test_the_list_is_downloaded_with_its_filters(submit: Submit, viewer: User, open_page: OpenPage) -> None:
    submit(priority=Priority.HIGH)
    submit()
    page = open_page(viewer, "/queue/requests/?priority=high")
    with page.expect_download() as started:
        page.get_by_role("button", name="CSV").click()
    lines = started.value.path().read_text().splitlines()
    assert len(lines) == 2
    assert "high" in lines[1]
    expect(page.locator("#requests tbody tr")).to_have_count(1)


def test_more_filters_stay_open_while_one_is_set(submit: Submit, viewer: User, open_page: OpenPage) -> None:
    submit(tags=["shop"])
    submit()
    page = open_page(viewer, "/queue/requests/")
    page.get_by_text("More filters").click()
    page.get_by_label("Tag").fill("shop")
    page.keyboard.press("Enter")
    expect(page.locator("#requests tbody tr")).to_have_count(1)
    page.reload()
    expect(page.get_by_label("Tag")).to_have_value("shop")


def test_a_refresh_does_not_swallow_a_click(submit: Submit, viewer: User, open_page: OpenPage) -> None:
    request = submit()
    page = open_page(viewer, "/queue/requests/")
    page.locator(f"#open-{request.id}").hover()
    page.mouse.down()
    submit()
    with page.expect_response(CHANGES):
        page.evaluate("htmx.trigger('#requests-news', 'refresh')")
    page.mouse.up()
    page.wait_for_url(f"**/queue/requests/{request.id}/")


def test_the_request_page_refreshes_until_the_request_ends(
    claimed: Callable[..., Claim], provider: ScriptedProvider, operator: User, open_page: OpenPage
) -> None:
    provider.script = [answer("The answer is here.")]
    claim = claimed(messages=[{"role": "user", "content": "The question."}])
    page = open_page(operator, f"/queue/requests/{claim.request.id}/")
    expect(page.locator("#request")).to_contain_text("processing")
    process(claim)
    expect(page.get_by_text("The answer is here.")).to_be_visible()
    expect(page.get_by_text("The question.")).to_be_visible()
    expect(page.locator("[data-live]")).to_have_count(0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3_000)
    assert asked == []
    assert not was_reloaded(page)


def test_a_request_is_cancelled_and_retried_on_its_page(submit: Submit, operator: User, open_page: OpenPage) -> None:
    request = submit(messages=[{"role": "user", "content": "The question."}])
    page = open_page(operator, f"/queue/requests/{request.id}/")
    tab_to(page, "#cancel-request")
    page.keyboard.press("Enter")
    confirm(page, "Cancel request")
    expect(page.locator("#toasts")).to_contain_text("Request cancelled.")
    page.get_by_role("button", name="Retry request").click()
    confirm(page, "Retry request")
    expect(page.locator("#toasts")).to_contain_text("Request queued again.")
    expect(page.locator("[data-live]")).to_have_count(1)
    expect(page.get_by_text("The question.")).to_be_visible()
    assert status_of(request) == "pending"


def turn_off_refresh(page: Page) -> None:
    page.locator("[data-refresh-menu] summary").click()
    page.get_by_role("button", name="Off").click()


def test_a_refused_action_shows_a_toast(submit: Submit, operator: User, open_page: OpenPage) -> None:
    request = submit()
    page = open_page(operator, "/queue/requests/")
    turn_off_refresh(page)
    with organization_scope(request.organization_id):
        control.cancel(request, actor="user:x")
    page.locator(f"#cancel-{request.id}").click()
    confirm(page, "Cancel request")
    expect(page.locator("#toasts")).to_contain_text("The request has already ended.")


def test_a_refresh_in_progress_changes_nothing_after_refreshing_is_turned_off(
    submit: Submit, operator: User, open_page: OpenPage
) -> None:
    request = submit()
    page = open_page(operator, "/login/")
    held: list[Route] = []
    page.route(CHANGES, lambda route: held.append(route))
    with page.expect_request(CHANGES):
        page.goto("/queue/requests/")
    turn_off_refresh(page)
    with organization_scope(request.organization_id):
        control.cancel(request, actor="user:x")
    page.evaluate("document.addEventListener('htmx:afterRequest', () => { window.isOver = true; })")
    held[0].continue_()
    wait_until(lambda: page.evaluate("window.isOver"), "the answer")
    expect(page.locator(f"#request-{request.id}")).to_contain_text("pending")
    expect(page.locator("[data-live-state]")).to_have_text("Refresh is off")

"""Focus management: invalid fields, dialogs, and swapped content."""

from collections.abc import Callable

from playwright.sync_api import expect

from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Alert
from queue_app.models import AIRequest
from tests.browser.conftest import NARROW, OpenPage


def test_an_invalid_form_focuses_the_first_invalid_field(finance: User, open_page: OpenPage) -> None:
    page = open_page(finance, "/budgets/new/")
    page.get_by_label("Limit", exact=False).first.fill("-1")
    page.evaluate("document.querySelector('main form').noValidate = true")
    page.get_by_role("button", name="Create budget").click()
    expect(page.locator(":focus")).to_have_attribute("aria-invalid", "true")
    page.problems[:] = [each for each in page.problems if "422" not in each]  # type: ignore[attr-defined]


def test_a_dialog_focuses_its_first_control_and_restores_the_focus(owner: User, open_page: OpenPage) -> None:
    page = open_page(owner, "/settings/keys/")
    opener = page.get_by_role("button", name="New key").first
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()


def test_a_dialog_without_controls_focuses_its_body(viewer: User, open_page: OpenPage) -> None:
    page = open_page(viewer, "/queue/")
    page.keyboard.press("?")
    expect(page.locator("#shortcuts .dialog-body")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()


HIDDEN_BY_THE_BAR = """() => {
  const box = document.activeElement.getBoundingClientRect();
  const bar = document.querySelector(".sidebar");
  return !bar.contains(document.activeElement) && box.height < 400 && box.bottom > bar.getBoundingClientRect().top;
}"""


def test_on_a_phone_the_bar_covers_neither_the_focus_nor_buttons(
    submit: Callable[..., AIRequest], operator: User, open_page: OpenPage
) -> None:
    submit()
    page = open_page(operator, "/queue/", NARROW)
    for name in ("critical", "high", "normal", "low"):
        page.locator(f"#switch-{name}").click(trial=True)
    page.evaluate("scrollTo(0, 0)")
    for _ in range(30):
        page.keyboard.press("Tab")
        assert not page.evaluate(HIDDEN_BY_THE_BAR), page.evaluate("document.activeElement.outerHTML")


def test_acknowledging_an_alert_focuses_the_next_action(
    organization: Organization, finance: User, open_page: OpenPage
) -> None:
    with organization_scope(organization.pk):
        alert = Alert.objects.create(
            organization=organization, kind="cost_spike", severity="high", cause="x", message="X"
        )
    page = open_page(finance, f"/alerts/{alert.pk}/")
    expect(page.locator("#alert-count")).to_contain_text("1")
    page.get_by_role("button", name="Acknowledge").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#alert")).to_contain_text("by finance")
    expect(page.locator("#alert :focus")).to_have_count(1)
    expect(page.locator("#alert-count")).to_have_text("")


def test_the_focus_stays_in_a_replaced_row(
    submit: Callable[..., AIRequest], operator: User, open_page: OpenPage
) -> None:
    request = submit()
    page = open_page(operator, "/queue/requests/")
    page.get_by_role("button", name="Cancel request").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("alertdialog")
    if dialog.is_visible():
        dialog.get_by_role("button").last.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("cancelled")
    expect(page.locator(f"#request-{request.id} :focus")).to_have_count(1)

"""Destructive and expensive actions ask for confirmation. Dialogs focus the safe button and work by keyboard."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from aiinfra.batches.models import Batch
from aiinfra.notifications.channels import add_channel
from aiinfra.providers.aliases import set_alias
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.invitations import invite
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import ApiKey, Membership, Organization, User
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.sso.models import IdentityProvider
from cost_app.budgets.manage import grant_increase, set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.finance.months import months_of
from cost_app.ledger.entries import book_entry
from cost_app.ledger.rollups import fold_organization
from cost_app.models import LedgerKind, ModelPrice, MonthClose, PriceProposal
from cost_app.prices.terms import PriceTerms
from queue_app.models import AIRequest, Priority, QueuePolicy
from tests.browser.conftest import OpenPage, was_reloaded
from tests.browser.test_queue_requests import status_of
from tests.cache_app.learning.made import make_entry
from tests.cost_app.prices.repricing import DAY, NOW, Call, call, ledger_sum, price  # noqa: F401 - a fixture
from tests.cost_app.recommendations.support import make_recommendation

Submit = Callable[..., AIRequest]


def confirmation(page: Page) -> Locator:
    return page.locator("#confirm-dialog")


def paused(organization: Organization) -> list[int]:
    with organization_scope(organization.pk):
        policy = QueuePolicy.objects.first()
        return policy.paused_priorities if policy else []


def test_cancelling_selected_requests_shows_their_number_and_focuses_the_safe_button(
    submit: Submit, operator: User, open_page: OpenPage
) -> None:
    requests = [submit() for _ in range(3)]
    page = open_page(operator, "/queue/requests/")
    page.locator("#tick-all").check()
    page.locator("#cancel-ticked").focus()
    page.keyboard.press("Enter")
    expect(confirmation(page)).to_contain_text("Cancel 3 requests?")
    expect(confirmation(page)).to_contain_text("This can't be undone.")
    expect(page.get_by_role("button", name="Go back")).to_be_focused()
    page.keyboard.press("Enter")
    expect(confirmation(page)).to_be_hidden()
    expect(page.locator("#cancel-ticked")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert {status_of(request) for request in requests} == {"pending"}
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("3 requests cancelled.")
    assert {status_of(request) for request in requests} == {"cancelled"}
    assert not was_reloaded(page)


def test_no_confirmation_is_shown_if_nothing_is_selected(submit: Submit, operator: User, open_page: OpenPage) -> None:
    submit()
    page = open_page(operator, "/queue/requests/")
    page.locator("#cancel-ticked").click()
    expect(page.locator("#toasts")).to_contain_text("No request was selected.")
    expect(confirmation(page)).to_be_hidden()


def test_pausing_all_priorities_asks_for_confirmation(
    submit: Submit, operator: User, organization: Organization, open_page: OpenPage
) -> None:
    submit()
    page = open_page(operator, "/queue/")
    page.locator("#pause-all").click()
    expect(confirmation(page)).to_contain_text("Pause all priorities?")
    assert paused(organization) == []
    with page.expect_response("**/queue/"):
        page.evaluate("htmx.trigger('#queue-live', 'refresh')")
    confirmation(page).get_by_role("button", name="Pause all").click()
    expect(page.locator("#toasts")).to_contain_text("All priorities are paused.")
    assert paused(organization) == sorted(Priority.values)


@pytest.mark.parametrize("path", ["/cache/entries/", "/cache/entries/{id}/"])
def test_removing_a_cache_entry_asks_for_confirmation(
    organization: Organization, admin: User, open_page: OpenPage, path: str
) -> None:
    entry = make_entry(organization)
    page = open_page(admin, path.format(id=entry.id))
    page.get_by_role("button", name="Remove").click()
    expect(confirmation(page)).to_contain_text("can't be undone")
    confirmation(page).get_by_role("button", name="Remove entry").click()
    expect(page.locator("#toasts")).to_contain_text("removed")


def test_approving_a_price_shows_the_old_and_new_price_and_who_is_affected(owner: User, open_page: OpenPage) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    old = {"provider": "local", "model": "m", "cache_read": 1, "cache_write": 1, "output": 1, "source": "a test"}
    begin = timezone.now() - timedelta(days=1)
    version = ModelPrice.objects.create(**PriceTerms(input=10**10, **old).columns, effective_from=begin)
    PriceProposal(**PriceTerms(input=3 * 10**10, **old).columns, effective_from=timezone.now(), replaces=version).save()
    page = open_page(owner, "/prices/proposals/")
    page.get_by_role("button", name="Approve m, standard").click()
    expect(confirmation(page)).to_contain_text("Input: $10.00 → $30.00")
    expect(confirmation(page)).to_contain_text("Every organization on this installation")
    assert ModelPrice.objects.filter(model="m").count() == 1
    confirmation(page).get_by_role("button", name="Approve price").click()
    expect(page.locator("#toasts")).to_contain_text("Price added to the book.")
    assert ModelPrice.objects.filter(model="m").count() == 2


def test_revoking_a_key_asks_for_confirmation(organization: Organization, owner: User, open_page: OpenPage) -> None:
    create_key(organization=organization, name="checkout", role=Role.OPERATOR, actor="user:owner")
    page = open_page(owner, "/settings/keys/")
    page.get_by_role("button", name="checkout").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(confirmation(page)).to_contain_text("Revoke checkout?")
    with organization_scope(organization.pk):
        assert ApiKey.objects.get().revoked_at is None
    confirmation(page).get_by_role("button", name="Revoke key").click()
    expect(page.locator("#toasts")).to_contain_text("revoked")
    with organization_scope(organization.pk):
        assert ApiKey.objects.get().revoked_at is not None


def test_removing_a_member_asks_for_confirmation(owner: User, viewer: User, open_page: OpenPage) -> None:
    page = open_page(owner, "/settings/members/")
    page.get_by_role("button", name=f"Change {viewer}").click()
    page.get_by_role("button", name="Remove from North Ltd").click()
    expect(confirmation(page)).to_contain_text(f"Remove {viewer} from North Ltd?")
    expect(confirmation(page)).to_contain_text("API keys are revoked immediately")
    assert Membership.objects.filter(user=viewer).exists()
    confirmation(page).get_by_role("button", name="Remove member").click()
    expect(page.locator("#toasts")).to_contain_text(f"{viewer} is no longer a member.")
    assert not Membership.objects.filter(user=viewer).exists()


@pytest.mark.parametrize(
    ("name", "title", "text"),
    [
        ("Log out Unknown", "Log out this session?", "logged out at its next request"),
        ("Log out everywhere else", "Log out everywhere else?", "All other sessions end immediately."),
    ],
)
def test_ending_a_session_asks_for_confirmation(
    owner: User, client_of: Callable[[User], Client], open_page: OpenPage, name: str, title: str, text: str
) -> None:
    elsewhere = client_of(owner)
    elsewhere.get("/settings/security/")
    page = open_page(owner, "/settings/security/")
    page.get_by_role("button", name=name).click()
    expect(confirmation(page)).to_contain_text(title)
    expect(confirmation(page)).to_contain_text(text)
    assert elsewhere.get("/settings/security/").status_code == 200
    with page.expect_navigation():
        confirmation(page).get_by_role("button", name="Log out", exact=True).click()
    assert elsewhere.get("/settings/security/").status_code == 302


def test_closing_a_month_asks_for_confirmation(organization: Organization, finance: User, open_page: OpenPage) -> None:
    with organization_scope(organization.pk):
        booked = {"provider": "openai", "model": "gpt-4", "kind": LedgerKind.USAGE, "calls": 1, "nano": 10**9}
        book_entry(organization=organization, at=timezone.now() - timedelta(days=40), **booked)
        fold_organization(organization.pk)
        month = months_of(organization.pk)[1]
    page = open_page(finance, f"/finance/statements/{month.slug}/")
    page.get_by_role("button", name="Close the month").click()
    dialog = page.locator("#close-month")
    expect(dialog).to_contain_text("the month can't be reopened")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    with organization_scope(organization.pk):
        assert not MonthClose.objects.exists()
    page.get_by_role("button", name="Close the month").click()
    dialog.get_by_role("button", name="Close month").click()
    page.wait_for_url("**/finance/closed/**")
    with organization_scope(organization.pk):
        assert MonthClose.objects.get().first_day == month.first_day


def test_repricing_shows_the_number_of_calls_and_the_amount(
    organization: Organization,
    owner: User,
    call: Call,  # noqa: F811
    open_page: OpenPage,
) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    price(1, days=-30)
    call()
    price(3, days=-8)
    days = (f"{NOW + DAY * number:%Y-%m-%d}" for number in (-7, 1))
    page = open_page(owner, "/prices/repricing/?provider=local&model=m&first={}&last={}".format(*days))
    page.get_by_label("Reason").fill("the list was wrong")
    page.get_by_role("button", name="Correct 1 call").click()
    expect(confirmation(page)).to_contain_text("Correct 1 call?")
    expect(confirmation(page)).to_contain_text("$0.0000022")
    assert ledger_sum(organization) == 1_100
    confirmation(page).get_by_role("button", name="Post the difference").click()
    expect(page.locator("#toasts")).to_contain_text("Corrections posted.")
    assert ledger_sum(organization) == 3_300


def test_a_dialog_with_a_form_focuses_its_first_field(admin: User, open_page: OpenPage) -> None:
    page = open_page(admin, "/settings/members/")
    page.get_by_role("button", name="Invite").first.click()
    expect(page.locator("dialog[open] .dialog-body :is(input:not([type=hidden]), select)").first).to_be_focused()


CONFIRMED_ACTIONS = [
    ("/settings/aliases/", "Remove fast", "Remove fast?"),
    ("/settings/notifications/", "Remove Pager", "Remove Pager?"),
    ("/settings/members/", "Withdraw the invitation for new@acme.example", "Withdraw the invitation"),
    ("/settings/single-sign-on/", "Remove", "Remove single sign-on?"),
    ("/settings/privacy/", "Erase content", "Erase this content?"),
    ("/settings/routes/", "Turn off", "Turn off default chains?"),
    ("/settings/routes/models/deepseek/deepseek-chat/", "Turn off fallback", "Turn off the fallback"),
    ("/queue/batches/", "Cancel batch", "Cancel this batch?"),
    ("/budgets/{budget}/", "Remove", "Remove this budget?"),
    ("/budgets/{budget}/", "Withdraw the increase by $5.00", "Withdraw the increase"),
    ("/recommendations/{recommendation}/", "Apply", "Apply this recommendation?"),
    ("/cache/entries/", "Clear…", "Clear the cache"),
]
"""Page, button, and title of the dialog that the button opens."""
IS_INSIDE = "() => document.activeElement === document.body || document.activeElement.closest('dialog[open]') !== null"
"""Whether the focus is in the dialog, or in the browser's own controls between its last and first control."""


@pytest.fixture
def ids(queue: None, organization: Organization, owner: User) -> dict[str, int]:
    """Create something to remove on each page; returns the IDs of two of them."""
    at, by = {"organization_id": organization.pk}, {"actor": "user:owner"}
    with organization_scope(organization.pk):
        set_alias(name="fast", target="deepseek/deepseek-chat", **at, **by)
        add_channel(
            kind="slack", name="Pager", target="https://hooks.slack.com/services/a", min_severity="low", **at, **by
        )
        invite(organization=organization, email="new@acme.example", role=Role.VIEWER, by=owner, **by)
        IdentityProvider.objects.create(issuer="https://id.acme.example", client_id="aiinfra", **at)
        later = timezone.now() + timedelta(days=1)
        Batch.objects.create(endpoint="/v1/chat/completions", input_id=uuid4(), expires_at=later, **at)
        make_entry(organization)
        budget = set_budget(terms=BudgetTerms(period="monthly", limit_nano=10**11), **at, **by)
        grant_increase(budget=budget, nano=5 * 10**9, reason="launch", expires_at=later, **by)
    return {"budget": budget.pk, "recommendation": make_recommendation(organization).pk}


def test_every_other_destructive_change_asks_for_confirmation(
    ids: dict[str, int], owner: User, open_page: OpenPage
) -> None:
    page, changes = open_page(owner, "/queue/"), []
    page.on("request", lambda request: changes.append(request.url) if request.method != "GET" else None)
    for path, name, title in CONFIRMED_ACTIONS:
        page.goto(path.format(**ids))
        opener = page.get_by_role("button", name=name).last
        opener.focus()
        page.keyboard.press("Enter")
        dialog = page.locator("dialog[open]")
        expect(dialog).to_contain_text(title)
        for _ in range(3):
            assert page.evaluate(IS_INSIDE), path
            page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(opener).to_be_focused()
    assert changes == []

"""`/budgets/`: the list, one budget, its forms."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets.manage import grant_increase, remove_budget, set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.budgets.windows import windows_now
from cost_app.models import Attempt, Budget, BudgetIncrease, BudgetWindow, UsageDay

Browser = Callable[[User], Client]
Set = Callable[..., Budget]
DOLLAR = 1_000_000_000
HTMX = {"HX-Request": "true"}
NEW = {
    "period": "monthly",
    "scope": "organization",
    "limit": "250",
    "warning_percent": "80",
    "alert_percent": "95",
    "enforcement": "block",
}
EDIT = {name: value for name, value in NEW.items() if name not in {"period", "scope"}}


def set_in(organization: Organization, **terms: Any) -> Budget:
    terms = {"period": "monthly", "limit_nano": 100 * DOLLAR, **terms}
    return set_budget(organization_id=organization.pk, terms=BudgetTerms(**terms), actor="user:finance")


@pytest.fixture
def budget(organization: Organization) -> Budget:
    return set_in(organization)


@pytest.fixture
def theirs(other_organization: Organization) -> Budget:
    return set_in(other_organization, scope="tag", scope_value="their-tag")


def spend(budget: Budget, committed: int, reserved: int = 0) -> None:
    with organization_scope(budget.organization_id):
        windows_now(budget.organization_id)
        BudgetWindow.objects.filter(budget=budget).update(committed_nano=committed, reserved_nano=reserved)


def raised(budget: Budget, **fields: Any) -> BudgetIncrease:
    fields = {"nano": 5 * DOLLAR, "reason": "launch", "expires_at": timezone.now() + timedelta(days=3), **fields}
    return grant_increase(budget=budget, actor="user:finance", **fields)


def rows_of(organization: Organization, table: type[Any]) -> list[Any]:
    with organization_scope(organization.pk):
        return list(table.objects.order_by("id"))


def queries(client: Client, url: str, **headers: Any) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url, **headers).status_code == 200
    return len(captured)


# The list


@pytest.mark.parametrize(("person", "next_step"), [("finance", "Create budget"), ("viewer", "can create a budget")])
def test_the_empty_page_explains_budgets(
    person: str, next_step: str, request: pytest.FixtureRequest, client_of: Browser
) -> None:
    page = client_of(request.getfixturevalue(person)).get(reverse("budgets")).text
    assert "No budgets yet" in page
    assert next_step in page


def test_the_list_shows_spent_held_and_free(budget: Budget, viewer: User, client_of: Browser) -> None:
    spend(budget, 62 * DOLLAR + DOLLAR // 2, 10 * DOLLAR)
    page = client_of(viewer).get(reverse("budgets")).text
    for shown in ("$62.50", "$10.00", "$27.50", "$100.00", "62 % spent", "Whole organization"):
        assert shown in page
    assert 'width="625"' in page
    assert 'x="625" width="100"' in page
    assert "M800 0V10M950 0V10" in page


@pytest.mark.parametrize(
    ("spent", "state", "tone"),
    [(79, "", ""), (80, "above the warning", "warn"), (95, "above the alert", "bad"), (100, "used up", "bad")],
)
def test_a_budget_above_a_threshold_is_marked_and_named(
    budget: Budget, viewer: User, client_of: Browser, spent: int, state: str, tone: str
) -> None:
    spend(budget, spent * DOLLAR)
    (row,) = client_of(viewer).get(reverse("budgets")).context["rows"]
    assert (row.state, row.tone) == (state, tone)


def test_the_excess_above_a_cut_limit_is_shown(
    budget: Budget, organization: Organization, viewer: User, client_of: Browser
) -> None:
    spend(budget, 62 * DOLLAR, 10 * DOLLAR)
    set_in(organization, limit_nano=0)
    page = client_of(viewer).get(reverse("budgets")).text
    assert "$72.00 over" in page
    assert "100 % spent" in page


def test_a_key_budget_is_labeled_by_the_keys_name(organization: Organization, viewer: User, client_of: Browser) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    set_in(organization, scope="api_key", scope_value=key.key_id)
    assert f"bot ({key.key_id})" in client_of(viewer).get(reverse("budgets")).text


def test_other_organizations_budgets_are_not_listed(theirs: Budget, viewer: User, client_of: Browser) -> None:
    page = client_of(viewer).get(reverse("budgets")).text
    assert "their-tag" not in page
    assert "No budgets yet" in page


def test_htmx_gets_only_the_progress_and_nothing_if_unchanged(budget: Budget, viewer: User, client_of: Browser) -> None:
    client = client_of(viewer)
    for url in (reverse("budgets"), reverse("budget", args=[budget.id])):
        first = client.get(url, headers=HTMX)
        assert "<html" not in first.text
        assert "data-figure-url" not in first.text
        assert "csrf" not in first.text
        assert "HX-Request" in first.headers["Vary"]
        assert 'data-live="5"' in client.get(url).text


def test_the_list_costs_the_same_with_one_and_ten_budgets(
    budget: Budget, organization: Organization, viewer: User, client_of: Browser
) -> None:
    client, url = client_of(viewer), reverse("budgets")
    keyed, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    set_in(organization, scope="api_key", scope_value=keyed.key_id)
    client.get(url)
    few = queries(client, url)
    for number in range(9):
        key, _ = keys.create_key(organization=organization, name=f"bot {number}", role=Role.VIEWER, actor="command:x")
        set_in(organization, scope="api_key", scope_value=key.key_id)
    client.get(url)
    assert queries(client, url) == few


# One budget


def test_a_budget_s_page_shows_its_period_increases_and_changes(
    budget: Budget, finance: User, client_of: Browser
) -> None:
    spend(budget, 85 * DOLLAR)
    raised(budget)
    page = client_of(finance).get(reverse("budget", args=[budget.id])).text
    for shown in (
        "Monthly budget of the organization",
        "$105.00",
        "$5.00 raised",
        "launch",
        "monthly budget of the organization",
    ):
        assert shown in page
    for action in ("budget_edit", "budget_remove", "budget_increase"):
        assert reverse(action, args=[budget.id]) in page
    assert page.count("data-figure-url") == 2


def test_readers_see_no_buttons_and_no_audit_log(budget: Budget, viewer: User, client_of: Browser) -> None:
    increase = raised(budget)
    page = client_of(viewer).get(reverse("budget", args=[budget.id])).text
    assert reverse("budget_edit", args=[budget.id]) not in page
    assert reverse("budget_increase_withdraw", args=[increase.pk]) not in page
    assert "budget.increased" not in page


def test_open_holds_are_listed_with_their_owner(
    budget: Budget, viewer: User, client_of: Browser, open_attempt: Callable[..., Attempt]
) -> None:
    attempt = open_attempt(request_id=uuid4(), user_ref="ada")
    page = client_of(viewer).get(reverse("budget", args=[budget.id])).text
    assert attempt.request_id.hex[:8] in page  # type: ignore[union-attr]
    assert "ada" in page
    assert "deepseek-chat" in page


def test_holds_cost_the_same_with_one_and_ten(
    budget: Budget, viewer: User, client_of: Browser, open_attempt: Callable[..., Attempt]
) -> None:
    client, url = client_of(viewer), reverse("budget", args=[budget.id])
    open_attempt()
    few = queries(client, url)
    for _ in range(9):
        open_attempt()
    assert queries(client, url) == few


def test_past_periods_cost_the_same_with_one_and_ten(budget: Budget, finance: User, client_of: Browser) -> None:
    client, url = client_of(finance), reverse("budget", args=[budget.id])
    spend(budget, 1)

    def add(months: int) -> None:
        end = timezone.now() - timedelta(days=40 * months)
        with organization_scope(budget.organization_id):
            BudgetWindow.objects.create(
                organization_id=budget.organization_id,
                budget=budget,
                starts_at=end - timedelta(days=30),
                ends_at=end,
                limit_nano=DOLLAR,
                enforcement="warn",
                committed_nano=3 * DOLLAR,
            )

    add(1)
    raised(budget)
    few = queries(client, url)
    for months in range(2, 11):
        add(months)
        raised(budget)
    assert queries(client, url) == few
    assert client.get(url).text.count("300 %") == 10


def test_a_removed_budget_stays_readable(budget: Budget, finance: User, client_of: Browser) -> None:
    spend(budget, 7 * DOLLAR)
    remove_budget(budget=budget, actor="user:finance")
    client = client_of(finance)
    assert reverse("budget", args=[budget.id]) in client.get(reverse("budgets")).text
    page = client.get(reverse("budget", args=[budget.id])).text
    assert "$7.00" in page
    assert "no longer counts spending" in page
    assert reverse("budget_edit", args=[budget.id]) not in page
    assert "This budget was removed" in client.get(reverse("budget", args=[budget.id]), headers=HTMX).text


def test_the_day_on_which_a_budget_runs_out_is_forecast(
    organization: Organization, budget: Budget, viewer: User, client_of: Browser, clock: Callable[[datetime], None]
) -> None:
    """$4 a day for four weeks: $100 of a month last 25 days."""
    clock(datetime(2026, 3, 10, 12, tzinfo=UTC))
    with organization_scope(organization.pk):
        BudgetWindow.objects.all().delete()
        Budget.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC), holds_since=None)
        for number in range(28):
            day = date(2026, 3, 9) - timedelta(days=number)
            UsageDay.objects.create(organization=organization, dimension="total", day=day, nano=4 * DOLLAR)
    spend(budget, 36 * DOLLAR)
    client, url = client_of(viewer), reverse("budget", args=[budget.id])
    assert client.get(url).context["detail"].runs_out_on in {date(2026, 3, 25), date(2026, 3, 26)}
    set_in(organization, limit_nano=200 * DOLLAR)
    assert client.get(url).context["detail"].runs_out_on is None


# Setting and changing


def test_a_budget_is_set_from_the_form(organization: Organization, finance: User, client_of: Browser) -> None:
    data = {**NEW, "limit": "250.50", "rollover_unused": "on", "rollover_cap": "9.123456789"}
    response = client_of(finance).post(reverse("budget_create"), data)
    (budget,) = rows_of(organization, Budget)
    assert (response.status_code, response.headers["Location"]) == (302, reverse("budget", args=[budget.id]))
    assert (budget.period, budget.scope, budget.scope_value) == ("monthly", "organization", "")
    assert (budget.limit_nano, budget.rollover_cap_nano, budget.enforcement) == (
        250_500_000_000,
        9_123_456_789,
        "block",
    )
    with organization_scope(organization.pk):
        assert AuditEvent.objects.get(verb="budget.created").actor == "user:finance"


def test_the_form_offers_what_the_organization_has(
    organization: Organization, theirs: Budget, finance: User, client_of: Browser
) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    gone, _ = keys.create_key(organization=organization, name="gone", role=Role.VIEWER, actor="command:test")
    keys.create_key(organization=theirs.organization, name="foreign", role=Role.VIEWER, actor="command:test")
    with organization_scope(organization.pk):
        keys.revoke_key(key=gone, actor="command:test")
        for dimension, value in (("user", "ada"), ("user", ""), ("tag", "red"), ("model", "x/y")):
            UsageDay.objects.create(
                organization=organization, dimension=dimension, value=value, day=timezone.localdate(), nano=1
            )
    page = client_of(finance).get(reverse("budget_create")).text
    for offered in (key.key_id, 'value="ada"', 'value="red"', 'value="deepseek/deepseek-chat"'):
        assert offered in page
    for foreign in (gone.key_id, "foreign", "x/y"):
        assert foreign not in page


@pytest.mark.parametrize(
    ("scope", "value"), [("user", "ada"), ("tag", "red"), ("model", "deepseek/deepseek-chat"), ("api_key", "")]
)
def test_each_scope_can_be_selected(
    organization: Organization, finance: User, client_of: Browser, scope: str, value: str
) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    value = value or str(key.pk)
    assert client_of(finance).post(reverse("budget_create"), {**NEW, "scope": scope, scope: value}).status_code == 302
    (budget,) = rows_of(organization, Budget)
    assert (budget.scope, budget.scope_value) == (scope, value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limit": ""}, "required"),
        ({"limit": "-1"}, "greater than or equal to 0"),
        ({"limit": "0.0000000001"}, "no more than 9 decimal places"),
        ({"limit": "NaN"}, "Enter a number"),
        ({"limit": "100000000"}, "less than or equal to"),
        ({"warning_percent": "0"}, "greater than or equal to 1"),
        ({"warning_percent": "96"}, "cannot be above the alert threshold"),
        ({"alert_percent": "101"}, "less than or equal to 100"),
        ({"enforcement": "hope"}, "not one of the available choices"),
        ({"scope": "user", "user": " "}, "This field is required for this scope."),
        ({"scope": "model"}, "This field is required for this scope."),
        ({"scope": "model", "model": "openai/gpt-99"}, "not one of the available choices"),
        ({"scope": "api_key", "api_key": "THEIRS"}, "not one of the available choices"),
        ({"scope": "team"}, "not one of the available choices"),
    ],
)
def test_an_invalid_form_is_shown_again_and_sets_nothing(
    organization: Organization,
    theirs: Budget,
    finance: User,
    client_of: Browser,
    changes: dict[str, str],
    said: str,
) -> None:
    key, _ = keys.create_key(organization=theirs.organization, name="bot", role=Role.VIEWER, actor="command:test")
    data = {**NEW, **{name: str(key.pk) if value == "THEIRS" else value for name, value in changes.items()}}
    response = client_of(finance).post(reverse("budget_create"), data)
    assert response.status_code == 422
    assert said in response.text
    assert rows_of(organization, Budget) == []


def test_a_second_budget_of_the_same_scope_is_refused_by_the_form(
    budget: Budget, organization: Organization, finance: User, client_of: Browser
) -> None:
    response = client_of(finance).post(reverse("budget_create"), NEW)
    assert response.status_code == 422
    assert "This budget already exists" in response.text
    assert [each.limit_nano for each in rows_of(organization, Budget)] == [100 * DOLLAR]


def test_a_change_applies_immediately(
    budget: Budget, organization: Organization, finance: User, client_of: Browser
) -> None:
    spend(budget, 60 * DOLLAR)
    client, url = client_of(finance), reverse("budget_edit", args=[budget.id])
    assert 'value="100.00"' in client.get(url).text
    assert client.post(url, {**EDIT, "limit": "50"}).status_code == 302
    (window,) = rows_of(organization, BudgetWindow)
    assert (window.limit_nano, window.enforcement, window.committed_nano) == (50 * DOLLAR, "block", 60 * DOLLAR)


def test_an_invalid_change_is_shown_again_and_changes_nothing(
    budget: Budget, organization: Organization, finance: User, client_of: Browser
) -> None:
    response = client_of(finance).post(reverse("budget_edit", args=[budget.id]), {**EDIT, "limit": "x"})
    assert response.status_code == 422
    assert "Enter a number" in response.text
    assert rows_of(organization, Budget)[0].limit_nano == 100 * DOLLAR


def test_a_budget_is_removed(budget: Budget, organization: Organization, finance: User, client_of: Browser) -> None:
    client, url = client_of(finance), reverse("budget_remove", args=[budget.id])
    for _ in range(2):
        assert client.post(url).headers["Location"] == reverse("budgets")
    assert not rows_of(organization, Budget)[0].is_active


# Increases


def test_an_increase_runs_through_its_last_day_on_the_organization_s_calendar(
    budget: Budget, organization: Organization, finance: User, client_of: Browser
) -> None:
    data = {"amount": "20", "last_day": "2099-07-01", "reason": "launch"}
    assert client_of(finance).post(reverse("budget_increase", args=[budget.id]), data).status_code == 302
    (increase,) = rows_of(organization, BudgetIncrease)
    assert (increase.nano, increase.by, increase.reason) == (20 * DOLLAR, "user:finance", "launch")
    assert f"{increase.expires_at:%Y-%m-%d %H:%M}" == "2099-07-01 22:00"  # midnight in Berlin


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"amount": "0"}, "must be positive"),
        ({"amount": "x"}, "Enter a number"),
        ({"reason": " "}, "required"),
        ({"last_day": "2020-01-01"}, "Select today or a later day"),
        ({"last_day": "9999-12-31"}, "Select today or a later day"),
        ({"last_day": ""}, "required"),
    ],
)
def test_an_invalid_increase_is_shown_again_in_its_dialog(
    budget: Budget, organization: Organization, finance: User, client_of: Browser, changes: dict[str, str], said: str
) -> None:
    data = {"amount": "20", "last_day": "2099-07-01", "reason": "launch", **changes}
    response = client_of(finance).post(reverse("budget_increase", args=[budget.id]), data)
    assert response.status_code == 422
    assert said in response.text
    assert "data-open" in response.text
    assert rows_of(organization, BudgetIncrease) == []


def test_an_increase_is_withdrawn_once(
    budget: Budget, organization: Organization, finance: User, client_of: Browser
) -> None:
    client, url = client_of(finance), reverse("budget_increase_withdraw", args=[raised(budget).pk])
    assert "Increase withdrawn." in client.post(url, follow=True).text
    assert "had already ended" in client.post(url, follow=True).text
    (increase,) = rows_of(organization, BudgetIncrease)
    assert increase.withdrawn_at is not None


# Who may, and how


@pytest.fixture
def writes(budget: Budget) -> dict[str, str]:
    """Every address that changes something."""
    addresses = {name: reverse(name, args=[budget.id]) for name in ("budget_edit", "budget_remove", "budget_increase")}
    addresses["budget_create"] = reverse("budget_create")
    addresses["budget_increase_withdraw"] = reverse("budget_increase_withdraw", args=[raised(budget).pk])
    return addresses


@pytest.mark.parametrize("person", ["viewer", "operator"])
def test_readers_change_nothing(
    writes: dict[str, str],
    organization: Organization,
    person: str,
    request: pytest.FixtureRequest,
    client_of: Browser,
) -> None:
    client = client_of(request.getfixturevalue(person))
    before = rows_of(organization, Budget), rows_of(organization, BudgetIncrease)
    assert {client.post(url, NEW).status_code for url in writes.values()} == {403}
    assert (rows_of(organization, Budget), rows_of(organization, BudgetIncrease)) == before


@pytest.fixture
def addresses_of() -> Callable[[Budget], Iterator[tuple[str, str]]]:
    """(method, address) of all that names a budget."""

    def make(budget: Budget) -> Iterator[tuple[str, str]]:
        reads = ["budget", "budget_edit", "budget_burn_down", "budget_history"]
        for name in [*reads, "budget_burn_down_table", "budget_history_table"]:
            yield "get", reverse(name, args=[budget.id])
        for name in ("budget_edit", "budget_remove", "budget_increase"):
            yield "post", reverse(name, args=[budget.id])
        yield "post", reverse("budget_increase_withdraw", args=[raised(budget).pk])

    return make


def test_another_organizations_budget_is_not_found(
    theirs: Budget, owner: User, client_of: Browser, addresses_of: Callable[[Budget], Iterator[tuple[str, str]]]
) -> None:
    client = client_of(owner)
    for method, url in addresses_of(theirs):
        assert getattr(client, method)(url).status_code == 404, url
    for missing in (10**6, 10**40):
        assert client.get(reverse("budget", args=[missing])).status_code == 404
    theirs.refresh_from_db()
    assert theirs.is_active


def test_writes_refuse_get(budget: Budget, finance: User, client_of: Browser) -> None:
    client = client_of(finance)
    for name in ("budget_remove", "budget_increase"):
        assert client.get(reverse(name, args=[budget.id])).status_code == 405
    assert client.get(reverse("budget_increase_withdraw", args=[raised(budget).pk])).status_code == 405
    for url in (reverse("budgets"), reverse("budget", args=[budget.id])):
        assert client.post(url).status_code == 405


def test_anonymous_users_are_redirected_to_the_login_page(budget: Budget, client: Client) -> None:
    for url in (reverse("budgets"), reverse("budget", args=[budget.id])):
        assert client.get(url).headers["Location"].startswith("/login/")


# Django admin


@pytest.mark.parametrize("table", ["budget", "budgetwindow", "budgetincrease", "hold"])
def test_staff_can_read_but_not_change_raw_rows_of_all_organizations(
    table: str, theirs: Budget, owner: User, client_of: Browser, open_attempt: Callable[..., Attempt]
) -> None:
    owner.is_staff = owner.is_superuser = True
    owner.save()
    raised(theirs)
    open_attempt(organization_id=theirs.organization_id, tags=["their-tag"])
    client = client_of(owner)
    page = client.get(reverse(f"admin:cost_app_{table}_changelist"))
    assert "South Ltd" in page.text
    assert client.get(reverse(f"admin:cost_app_{table}_add")).status_code == 403

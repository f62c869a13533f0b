"""Forms that create, change, increase, and remove budgets."""

import pytest
from django.urls import reverse
from django.utils import timezone

from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Budget, BudgetIncrease, BudgetWindow, UsageDay
from tests.cost_app.budgets.conftest import DOLLAR
from tests.cost_app.budgets.test_views import EDIT, NEW, Browser, raised, rows_of, spend


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


def test_form_offers_only_values_of_the_organization(
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
    ("changes", "message"),
    [
        ({"limit": ""}, "required"),
        ({"limit": "-1"}, "greater than or equal to 0"),
        ({"limit": "0.0000000001"}, "no more than 9 decimal places"),
        ({"limit": "NaN"}, "Enter a number"),
        ({"limit": "100000000"}, "less than or equal to"),
        ({"warning_percent": "0"}, "greater than or equal to 1"),
        ({"warning_percent": "96"}, "can&#x27;t be above the alert threshold"),
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
    message: str,
) -> None:
    key, _ = keys.create_key(organization=theirs.organization, name="bot", role=Role.VIEWER, actor="command:test")
    data = {**NEW, **{name: str(key.pk) if value == "THEIRS" else value for name, value in changes.items()}}
    response = client_of(finance).post(reverse("budget_create"), data)
    assert response.status_code == 422
    assert message in response.text
    assert rows_of(organization, Budget) == []


def test_form_rejects_a_second_budget_of_the_same_scope(
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


def test_increase_ends_with_its_last_day_in_the_organization_s_time_zone(
    budget: Budget, organization: Organization, finance: User, client_of: Browser
) -> None:
    data = {"amount": "20", "last_day": "2099-07-01", "reason": "launch"}
    assert client_of(finance).post(reverse("budget_increase", args=[budget.id]), data).status_code == 302
    (increase,) = rows_of(organization, BudgetIncrease)
    assert (increase.nano, increase.by, increase.reason) == (20 * DOLLAR, "user:finance", "launch")
    assert f"{increase.expires_at:%Y-%m-%d %H:%M}" == "2099-07-01 22:00"  # midnight in Berlin


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amount": "0"}, "must be positive"),
        ({"amount": "x"}, "Enter a number"),
        ({"reason": " "}, "required"),
        ({"last_day": "2020-01-01"}, "Select today or a later day"),
        ({"last_day": "9999-12-31"}, "Select today or a later day"),
        ({"last_day": ""}, "required"),
    ],
)
def test_invalid_increase_is_shown_again_in_its_dialog(
    budget: Budget, organization: Organization, finance: User, client_of: Browser, changes: dict[str, str], message: str
) -> None:
    data = {"amount": "20", "last_day": "2099-07-01", "reason": "launch", **changes}
    response = client_of(finance).post(reverse("budget_increase", args=[budget.id]), data)
    assert response.status_code == 422
    assert message in response.text
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

"""Permissions of budget pages."""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.models import Organization, User
from cost_app.models import Attempt, Budget, BudgetIncrease
from tests.cost_app.budgets.test_views import NEW, Browser, raised, rows_of


@pytest.fixture
def writes(budget: Budget) -> dict[str, str]:
    """The URL of every action that changes a budget."""
    addresses = {name: reverse(name, args=[budget.id]) for name in ("budget_edit", "budget_remove", "budget_increase")}
    addresses["budget_create"] = reverse("budget_create")
    addresses["budget_increase_withdraw"] = reverse("budget_increase_withdraw", args=[raised(budget).pk])
    return addresses


@pytest.mark.parametrize("person", ["viewer", "operator"])
def test_viewers_and_operators_cannot_change_budgets(
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
    """The (method, URL) of every page and action of a budget."""

    def make(budget: Budget) -> Iterator[tuple[str, str]]:
        reads = ["budget", "budget_edit", "budget_burn_down", "budget_history"]
        for name in [*reads, "budget_burn_down_table", "budget_history_table"]:
            yield "get", reverse(name, args=[budget.id])
        for name in ("budget_edit", "budget_remove", "budget_increase"):
            yield "post", reverse(name, args=[budget.id])
        yield "post", reverse("budget_increase_withdraw", args=[raised(budget).pk])

    return make


def test_budget_of_another_organization_is_not_found(
    theirs: Budget, owner: User, client_of: Browser, addresses_of: Callable[[Budget], Iterator[tuple[str, str]]]
) -> None:
    client = client_of(owner)
    for method, url in addresses_of(theirs):
        assert getattr(client, method)(url).status_code == 404, url
    for missing in (10**6, 10**40):
        assert client.get(reverse("budget", args=[missing])).status_code == 404
    theirs.refresh_from_db()
    assert theirs.is_active


def test_writes_require_post(budget: Budget, finance: User, client_of: Browser) -> None:
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

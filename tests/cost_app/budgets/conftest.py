"""Budgets, and a settable clock."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.budgets.manage import set_budget
from cost_app.budgets.terms import BudgetTerms
from cost_app.models import Attempt, Budget, LedgerEntry
from tests.cost_app.budgets.callers import program  # noqa: F401 - a fixture

DOLLAR = 1_000_000_000
ACTOR = "user:finance"
Set = Callable[..., Budget]
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def scoped(organization: Organization) -> Iterator[Organization]:
    """Runs the test in the scope of this organization."""
    with organization_scope(organization.pk):
        yield organization


@pytest.fixture
def make_budget(organization: Organization) -> Callable[..., Budget]:
    """Creates a blocking budget with these columns."""

    def make(**columns: object) -> Budget:
        defaults = {"organization": organization, "period": "daily", "limit_nano": 1_000_000, "enforcement": "block"}
        with system_scope():
            return Budget.objects.create(**{**defaults, **columns})

    return make


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the time that `timezone.now` returns."""

    def set_to(now: datetime) -> None:
        monkeypatch.setattr(timezone, "now", lambda: now)

    set_to(NOON)
    return set_to


@pytest.fixture
def records_use_the_test_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Column defaults use the clock that the test sets."""
    for model, column in ((LedgerEntry, "at"), (Attempt, "created_at"), (Budget, "updated_at")):
        monkeypatch.setattr(model._meta.get_field(column), "_get_default", lambda: timezone.now())


def set_in(organization: Organization, **terms: Any) -> Budget:
    terms = {"period": "monthly", "limit_nano": 100 * DOLLAR, **terms}
    return set_budget(organization_id=organization.pk, terms=BudgetTerms(**terms), actor="user:finance")


@pytest.fixture
def budget(organization: Organization) -> Budget:
    return set_in(organization)


@pytest.fixture
def theirs(other_organization: Organization) -> Budget:
    return set_in(other_organization, scope="tag", scope_value="their-tag")


@pytest.fixture
def set_to(scoped: Organization) -> Set:
    """Sets a budget with these terms, by default $10 per day."""

    def make(**terms: Any) -> Budget:
        terms = {"period": "daily", "limit_nano": 10 * DOLLAR, **terms}
        return set_budget(organization_id=scoped.pk, terms=BudgetTerms(**terms), actor=ACTOR)

    return make

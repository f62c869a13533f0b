"""The remaining budget of a call, for its response headers."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets.left import left_after
from cost_app.budgets.manage import grant_increase
from cost_app.models import Attempt
from tests.cost_app.budgets.conftest import DOLLAR
from tests.cost_app.budgets.test_windows import MakeBudget

pytestmark = pytest.mark.usefixtures("scoped")


def test_remaining_budget_is_that_of_the_tightest_blocking_budget(
    make_budget: MakeBudget, open_attempt: Callable[..., Attempt]
) -> None:
    make_budget(limit_nano=DOLLAR, enforcement="warn", period="weekly")
    make_budget(limit_nano=DOLLAR, scope="user", scope_value="someone else")
    make_budget(limit_nano=4 * DOLLAR, period="monthly")
    tightest = make_budget(limit_nano=3 * DOLLAR)
    attempt = open_attempt()
    assert left_after(attempt.id) == 3 * DOLLAR - attempt.bound_nano
    for _ in range(2):
        expires_at = timezone.now() + timedelta(days=1)
        grant_increase(budget=tightest, nano=DOLLAR, reason="launch", expires_at=expires_at, actor="user:finance")
    assert left_after(attempt.id) == 4 * DOLLAR - attempt.bound_nano


def test_remaining_budget_is_none_without_a_blocking_budget(
    make_budget: MakeBudget, open_attempt: Callable[..., Attempt]
) -> None:
    make_budget(enforcement="warn")
    assert left_after(open_attempt().id) is None


def test_remaining_budget_is_hidden_from_other_organizations(
    make_budget: MakeBudget, open_attempt: Callable[..., Attempt], other_organization: Organization
) -> None:
    make_budget()
    attempt = open_attempt()
    assert left_after(attempt.id) is not None
    with organization_scope(other_organization.pk):
        assert left_after(attempt.id) is None

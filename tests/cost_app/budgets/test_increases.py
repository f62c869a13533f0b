"""Temporary increases of budgets."""

from datetime import timedelta
from typing import Any

import pytest

from aiinfra.tenants.models import Organization
from cost_app.budgets.manage import (
    grant_increase,
    remove_budget,
    withdraw_increase,
)
from cost_app.budgets.terms import NANO_MAX, BudgetTermsError
from cost_app.models import BudgetIncrease
from tests.cost_app.budgets.conftest import ACTOR, DOLLAR, NOON, Set
from tests.cost_app.budgets.test_manage import changes_of, only_window
from tests.cost_app.budgets.test_windows import DAY


def test_an_increase_raises_the_limit_until_it_is_withdrawn(set_to: Set, scoped: Organization) -> None:
    budget = set_to()
    expires_at = NOON + 10_000 * DAY
    increase = grant_increase(budget=budget, nano=DOLLAR, reason=" launch ", expires_at=expires_at, actor=ACTOR)
    assert only_window(scoped).limit_nano == 11 * DOLLAR
    assert (increase.by, increase.reason) == (ACTOR, "launch")
    assert withdraw_increase(increase=increase, actor="user:owner")
    assert not withdraw_increase(increase=increase, actor="user:owner")
    assert only_window(scoped).limit_nano == 10 * DOLLAR
    until = expires_at.isoformat(timespec="seconds")
    assert changes_of("increased") == [{"increase": [None, "1.00"], "until": [None, until], "reason": [None, "launch"]}]
    assert changes_of("increase_withdrawn") == [{"increase": ["1.00", None]}]


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"nano": 0}, "nano"),
        ({"nano": NANO_MAX + 1}, "nano"),
        ({"reason": "   "}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"expires_at": NOON}, "expires_at"),
    ],
)
def test_invalid_increase_is_rejected(set_to: Set, arguments: dict[str, Any], field: str) -> None:
    valid = {"nano": 1, "reason": "launch", "expires_at": NOON + timedelta(hours=1)}
    budget = set_to()
    with pytest.raises(BudgetTermsError) as refusal:
        grant_increase(budget=budget, actor=ACTOR, **{**valid, **arguments})
    assert refusal.value.field == field
    assert not BudgetIncrease.objects.exists()


@pytest.mark.usefixtures("clock")
def test_removing_a_budget_ends_its_increases(set_to: Set, scoped: Organization) -> None:
    budget = set_to()
    grant_increase(budget=budget, nano=DOLLAR, reason="launch", expires_at=NOON + DAY, actor=ACTOR)
    remove_budget(budget=budget, actor=ACTOR)
    with pytest.raises(BudgetTermsError):
        grant_increase(budget=budget, nano=1, reason="again", expires_at=NOON + DAY, actor=ACTOR)
    set_to()
    assert only_window(scoped).limit_nano == 10 * DOLLAR

"""Temporary increases of budgets."""

from collections.abc import Callable
from datetime import datetime, timedelta
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
    increase = grant_increase(budget=budget, nano=DOLLAR, reason=" \u202elaunch\n ", expires_at=expires_at, actor=ACTOR)
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
        ({"reason": "\u200b\u2060"}, "reason"),
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


def test_only_increases_in_effect_count_toward_the_maximum(set_to: Set, clock: Callable[[datetime], None]) -> None:
    budget, other = set_to(), set_to(period="monthly")
    terms: dict[str, Any] = {"nano": NANO_MAX, "reason": "x" * 200, "actor": ACTOR}
    grant_increase(budget=other, expires_at=NOON + DAY, **terms)
    withdrawn = grant_increase(budget=budget, expires_at=NOON + DAY, **terms)
    withdraw_increase(increase=withdrawn, actor=ACTOR)
    expired = grant_increase(budget=budget, expires_at=NOON + timedelta(hours=1), **terms)
    clock(NOON + timedelta(hours=1))
    assert not withdraw_increase(increase=expired, actor=ACTOR)
    grant_increase(budget=budget, expires_at=NOON + DAY, **terms)


def test_removing_a_budget_leaves_ended_increases_and_those_of_others(
    set_to: Set, clock: Callable[[datetime], None]
) -> None:
    budget, other = set_to(), set_to(period="monthly")
    later = NOON + timedelta(hours=1)
    terms: dict[str, Any] = {"nano": DOLLAR, "reason": "launch", "actor": ACTOR}
    others = grant_increase(budget=other, expires_at=NOON + DAY, **terms)
    expired = grant_increase(budget=budget, expires_at=later, **terms)
    withdrawn = grant_increase(budget=budget, expires_at=NOON + DAY, **terms)
    withdraw_increase(increase=withdrawn, actor=ACTOR)
    current = grant_increase(budget=budget, expires_at=NOON + DAY, **terms)
    clock(later)
    remove_budget(budget=budget, actor=ACTOR)
    ends = dict(BudgetIncrease.objects.values_list("id", "withdrawn_at"))
    assert ends == {others.id: None, expired.id: None, withdrawn.id: NOON, current.id: later}

"""Refunds in a window that has ended, after the next one started."""

from collections.abc import Callable

import pytest

from aiinfra.providers.base import TokenUsage
from cost_app.budgets.refusals import BudgetBusyError
from cost_app.ledger import attempts
from cost_app.models import Attempt, Budget, BudgetWindow
from tests.cost_app.budgets.conftest import NOON
from tests.cost_app.budgets.test_windows import DAY, MakeBudget

Open = Callable[..., Attempt]
USAGE = TokenUsage(input=20, output=10)
COST = 20 * 140 + 10 * 280
pytestmark = pytest.mark.usefixtures("scoped")


def state_of(budget: Budget) -> tuple[int, int]:
    """Committed and reserved amounts of the budget's only window."""
    window = BudgetWindow.objects.get(budget=budget)
    return window.committed_nano, window.reserved_nano


def test_late_refund_in_the_previous_window_makes_room_immediately(
    make_budget: MakeBudget, open_attempt: Open, clock: Callable[..., None]
) -> None:
    bound = open_attempt().bound_nano
    make_budget(limit_nano=bound, rollover_unused=True)
    late = open_attempt()
    clock(NOON + DAY)
    open_attempt()
    with pytest.raises(BudgetBusyError):
        open_attempt()
    attempts.release(late)
    open_attempt()


def test_late_refund_does_not_admit_a_call_that_still_does_not_fit(
    make_budget: MakeBudget, open_attempt: Open, clock: Callable[..., None]
) -> None:
    bound = open_attempt().bound_nano
    budget = make_budget(limit_nano=2 * bound, rollover_unused=True)
    late = open_attempt()
    clock(NOON + DAY)
    for _ in range(3):
        open_attempt()
    attempts.settle(late, TokenUsage(output=50), {})  # refunds only a part of its bound
    with pytest.raises(BudgetBusyError):
        open_attempt()
    today = BudgetWindow.objects.filter(budget=budget).latest("starts_at")
    assert today.reserved_nano == 3 * bound

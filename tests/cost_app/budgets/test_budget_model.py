"""Budgets against a reference model: calls of all kinds, clock steps, and limit cuts in any order.

After each step, the books agree (`disagreements`), no blocking window is above its limit, and calls were refused only
if they did not fit. At the end, the ledger equals the provider's bill.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F, Q
from hypothesis import Phase
from hypothesis import settings as limits
from hypothesis.stateful import run_state_machine_as_test

from aiinfra.tenants.models import Organization
from cost_app.budgets import holds
from cost_app.budgets.windows import OpenWindow
from cost_app.ledger import attempts, sweeper
from cost_app.models import Attempt, AttemptState, BudgetWindow
from tests.cost_app.budgets.budget_machine import BudgetMachine
from tests.support.examples import examples

EXAMPLES = examples(12, 200)
"""Enough to detect each planted bug."""


@pytest.fixture
def machine(
    transactional_db: None, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], None]]:
    """Runs the state machine with this many examples."""
    monkeypatch.setattr(attempts, "DEADLINE_GRACE", timedelta(days=30))
    BudgetMachine.organization = organization
    BudgetMachine.monkeypatch = monkeypatch

    def run(examples: int) -> None:
        run_state_machine_as_test(
            BudgetMachine,
            settings=limits(
                max_examples=examples,
                stateful_step_count=20,
                deadline=None,
                database=None,
                derandomize=True,
                phases=(Phase.generate,),
            ),
        )

    yield run


def test_budgets_are_never_overspent_and_no_money_is_lost(machine: Callable[[int], None]) -> None:
    machine(EXAMPLES)


def ignore_holds(each: OpenWindow, bound: int) -> bool:
    fits = Q(committed_nano__lte=F("limit_nano") + each.increase_nano - bound)
    return bool(BudgetWindow.objects.filter(fits, id=each.window.id).update(reserved_nano=F("reserved_nano") + bound))


def settle_in_any_state(attempt: Attempt, before: set[AttemptState], after: AttemptState, **columns: Any) -> bool:
    return bool(Attempt.objects.filter(id=attempt.id).update(state=after, **columns))


@pytest.mark.parametrize(
    ("where", "name", "bug"),
    [
        pytest.param(holds, "_add", ignore_holds, id="ignores holds"),
        pytest.param(attempts, "_move", settle_in_any_state, id="settles twice"),
        pytest.param(sweeper, "estimate", attempts.release, id="releases sent calls"),
        pytest.param(holds, "close", lambda *_: None, id="keeps holds"),
    ],
)
def test_the_model_detects_planted_bugs(
    machine: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, where: Any, name: str, bug: Callable[..., Any]
) -> None:
    monkeypatch.setattr(where, name, bug)
    with pytest.raises(Exception):  # noqa: B017 - an assertion, or a database constraint
        machine(EXAMPLES)

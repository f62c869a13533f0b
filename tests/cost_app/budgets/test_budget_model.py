"""Budgets against a model that knows the truth: calls of all kinds, clock steps, cut limits, in any order.

After each step the books agree with each other (`disagreements`), no window that blocks is above its limit, and a call
was refused only if it did not fit. In the end the ledger is the provider's own book.
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
"""Enough to find each planted bug."""


@pytest.fixture
def machine(
    transactional_db: None, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], None]]:
    """Runs the machine."""
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


def test_no_budget_is_overspent_and_no_money_is_lost(machine: Callable[[int], None]) -> None:
    machine(EXAMPLES)


def forget_what_is_held(each: OpenWindow, bound: int) -> bool:
    fits = Q(committed_nano__lte=F("limit_nano") + each.increase_nano - bound)
    return bool(BudgetWindow.objects.filter(fits, id=each.window.id).update(reserved_nano=F("reserved_nano") + bound))


def settle_whatever_the_state(attempt: Attempt, before: set[AttemptState], after: AttemptState, **columns: Any) -> bool:
    return bool(Attempt.objects.filter(id=attempt.id).update(state=after, **columns))


@pytest.mark.parametrize(
    ("where", "name", "bug"),
    [
        pytest.param(holds, "_add", forget_what_is_held, id="leaves out what is held"),
        pytest.param(attempts, "_move", settle_whatever_the_state, id="settles twice"),
        pytest.param(sweeper, "estimate", attempts.release, id="sweeps calls away that were sent"),
        pytest.param(holds, "close", lambda *_: None, id="keeps holds for ever"),
    ],
)
def test_the_model_detects_planted_bugs(
    machine: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, where: Any, name: str, bug: Callable[..., Any]
) -> None:
    monkeypatch.setattr(where, name, bug)
    with pytest.raises(Exception):  # noqa: B017 - an assertion, or a constraint of the database
        machine(EXAMPLES)

"""Sixteen processes make 200 concurrent calls on a budget that fits 50."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.ledger import attempts
from cost_app.ledger.admission import AttemptOrder, open_attempt
from cost_app.ledger.reconciliation import disagreements
from cost_app.models import Attempt, AttemptState, Budget, BudgetWindow
from tests.cost_app.budgets.racers import CHEAP, EXPENSIVE
from tests.support.race import RunRace

RACERS, CALLS, FIT = 16, 200, 50
SHARES = [CALLS // RACERS + (number < CALLS % RACERS) for number in range(RACERS)]
Race = Callable[[str], Counter[str]]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def race(run_race: RunRace) -> Race:
    """Runs one kind of race with all racers; counts the outcomes of the calls."""

    def run(name: str) -> Counter[str]:
        achieved = run_race("tests.cost_app.budgets.racers", [(name, str(share)) for share in SHARES])
        return Counter(outcome for outcomes in achieved for outcome in outcomes)

    return run


def open_call(organization: Organization, model: tuple[str, str]) -> Attempt:
    """Open one call like those of the race."""
    messages = [{"role": "user", "content": "Hi"}]
    with organization_scope(organization.pk):
        return open_attempt(AttemptOrder(organization.pk, *model, messages, 100))


@pytest.fixture
def limit(organization: Organization, make_budget: Callable[..., Budget]) -> int:
    """The limit of the budget, which fits 50 calls of the cheaper model."""
    call = open_call(organization, CHEAP)
    with organization_scope(organization.pk):
        attempts.release(call)
    nano = FIT * call.bound_nano
    make_budget(limit_nano=nano, rollover_unused=True)
    return nano


@pytest.fixture(autouse=True)
def invariants(organization: Organization) -> object:
    """After every race, no window is above its limit, and nothing is held once all calls have ended."""
    yield
    with organization_scope(organization.pk):
        over = BudgetWindow.objects.filter(committed_nano__gt=F("limit_nano") - F("reserved_nano"))
        assert not over.exists(), "overspent"
        for attempt in Attempt.objects.filter(state=AttemptState.RESERVED):
            attempts.release(attempt)
        assert not BudgetWindow.objects.exclude(reserved_nano=0).exists(), "leaked holds"
        assert list(disagreements()) == []


def used(organization: Organization) -> list[int]:
    with organization_scope(organization.pk):
        windows = BudgetWindow.objects.order_by("starts_at")
        return [window.committed_nano + window.reserved_nano for window in windows]


def test_only_calls_that_fit_are_admitted(race: Race, organization: Organization, limit: int) -> None:
    assert race("admit") == Counter(admitted=FIT, BudgetBusyError=CALLS - FIT)
    assert used(organization) == [limit]
    with organization_scope(organization.pk):
        for attempt in Attempt.objects.filter(state=AttemptState.RESERVED)[: FIT - 10]:
            attempts.release(attempt)
    assert race("admit")["admitted"] == FIT - 10, "refused although holds were released"


def test_a_fallback_to_a_more_expensive_model_cannot_overspend(
    race: Race, organization: Organization, limit: int
) -> None:
    outcomes = race("fall_back")
    with organization_scope(organization.pk):
        (expensive,) = (
            Attempt.objects.filter(state=AttemptState.RESERVED).values_list("bound_nano", flat=True).distinct()
        )
    admitted = outcomes["admitted"]
    assert 0 < admitted <= limit // expensive
    assert used(organization) == [admitted * expensive]
    for _ in range(limit // expensive - admitted):
        assert open_call(organization, EXPENSIVE).bound_nano == expensive, (
            "refused although the cheaper calls have ended"
        )


def test_retries_cannot_overspend(race: Race, organization: Organization, limit: int) -> None:
    outcomes = race("retry")
    with organization_scope(organization.pk):
        open_calls = Attempt.objects.filter(state=AttemptState.RESERVED).count()
        timed_out = Attempt.objects.filter(state=AttemptState.ESTIMATED).count()
    assert (outcomes["admitted"], open_calls + timed_out) == (open_calls, FIT)
    assert used(organization) == [limit]


def test_calls_after_midnight_can_spend_exactly_the_rollover(
    race: Race, organization: Organization, limit: int
) -> None:
    outcomes = race("roll_over")
    assert outcomes["before:admitted"] == FIT
    before, after = used(organization)
    fits = (limit + limit - before) // (limit // FIT)
    assert outcomes["after:admitted"] == min(fits, CALLS // 2 + sum(share % 2 for share in SHARES))
    assert after == outcomes["after:admitted"] * (limit // FIT)


def test_new_budget_counts_a_call_being_admitted_once(run_race: RunRace, organization: Organization) -> None:
    outcomes = run_race("tests.cost_app.budgets.racers", [("admit_first", ""), ("set_second", "")])
    assert outcomes == [["admitted"], ["set"]]
    with organization_scope(organization.pk):
        assert used(organization) == [Attempt.objects.get().bound_nano]


def test_new_budget_counts_a_call_being_settled_once(run_race: RunRace, organization: Organization) -> None:
    call = open_call(organization, CHEAP)
    with organization_scope(organization.pk):
        attempts.dispatch(call, timedelta(seconds=30))
    outcomes = run_race("tests.cost_app.budgets.racers", [("settle_during_set", ""), ("set_during_settle", "")])
    assert outcomes == [["settled"], ["set"]]
    with organization_scope(organization.pk):
        cost = Attempt.objects.get().cost_nano
        assert cost > 0
        assert used(organization) == [cost]

"""The amounts that a call holds and spends in the budgets that count it."""

import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aiinfra.money import dollars
from aiinfra.providers.base import TokenUsage
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.budgets.manage import grant_increase, withdraw_increase
from cost_app.budgets.refusals import BudgetBusyError, BudgetExceededError, BudgetRefusedError
from cost_app.budgets.windows import windows_now
from cost_app.ledger import attempts
from cost_app.ledger.reconciliation import disagreements
from cost_app.models import Attempt, Budget, BudgetIncrease, BudgetWindow, Hold, LedgerEntry
from tests.cost_app.budgets.test_windows import DAY, MakeBudget, spend

Open = Callable[..., Attempt]
USAGE = TokenUsage(input=20, output=10)
COST = 20 * 140 + 10 * 280
pytestmark = pytest.mark.usefixtures("scoped")


def state_of(budget: Budget) -> tuple[int, int]:
    """Committed and reserved amounts of the budget's only window."""
    window = BudgetWindow.objects.get(budget=budget)
    return window.committed_nano, window.reserved_nano


def test_a_call_holds_its_bound_and_is_charged_its_cost(make_budget: MakeBudget, open_attempt: Open) -> None:
    budget = make_budget()
    attempt = open_attempt()
    assert state_of(budget) == (0, attempt.bound_nano)
    attempts.settle(attempt, USAGE, {})
    attempts.settle(attempt, USAGE, {})
    assert state_of(budget) == (COST, 0)
    assert list(disagreements()) == []


def test_a_call_counts_in_every_matching_budget(
    organization: Organization, make_budget: MakeBudget, open_attempt: Open
) -> None:
    key, other_key = (
        keys.create_key(organization=organization, name=name, role=Role.OPERATOR, actor="command:test")[0]
        for name in ("bot", "other bot")
    )
    matching = [
        make_budget(scope="api_key", scope_value=str(key.pk)),
        make_budget(),
        make_budget(period="monthly"),
        make_budget(scope="user", scope_value="ada"),
        make_budget(scope="model", scope_value="deepseek/deepseek-chat"),
        make_budget(scope="tag", scope_value="red"),
    ]
    others = [
        make_budget(scope="user", scope_value="bob"),
        make_budget(scope="model", scope_value="openai/gpt-4"),
        make_budget(scope="tag", scope_value="green"),
        make_budget(scope="api_key", scope_value=str(other_key.pk)),
        *(
            make_budget(scope=scope, scope_value=value)
            for scope, value in [
                ("user", "deepseek/deepseek-chat"),
                ("user", "red"),
                ("user", str(key.pk)),
                ("tag", "ada"),
                ("tag", str(key.pk)),
                ("tag", "deepseek/deepseek-chat"),
                ("api_key", "ada"),
                ("model", "red"),
            ]
        ),
    ]
    make_budget(scope="tag", scope_value="blue", is_active=False)
    attempt = open_attempt(user_ref="ada", tags=["red", "blue"], api_key_id=key.pk)
    assert {state_of(budget) for budget in matching} == {(0, attempt.bound_nano)}
    attempts.settle(attempt, USAGE, {})
    assert {state_of(budget) for budget in matching} == {(COST, 0)}
    assert not BudgetWindow.objects.filter(budget__in=others).exists()


def test_a_budget_that_does_not_match_is_unchanged(
    organization: Organization, make_budget: MakeBudget, open_attempt: Open
) -> None:
    counting, other = make_budget(), make_budget(scope="user", scope_value="bob")
    windows_now(organization.pk)
    attempt = open_attempt()
    assert (state_of(counting), state_of(other)) == ((0, attempt.bound_nano), (0, 0))


def test_budgets_of_another_organization_do_not_count_a_call(
    other_organization: Organization, make_budget: MakeBudget, open_attempt: Open
) -> None:
    make_budget(organization=other_organization, limit_nano=0)
    open_attempt()
    with system_scope():
        assert not BudgetWindow.objects.exists()


def test_a_call_without_budgets_queries_no_windows(open_attempt: Open, organization: Organization) -> None:
    with CaptureQueriesContext(connection) as queries:
        attempts.release(open_attempt())
        assert windows_now(organization.pk) == []
    assert not [each for each in queries if "budgetwindow" in each["sql"]]
    assert not [each for each in queries if each["sql"].startswith('UPDATE "cost_app_hold"')]


def test_a_call_without_a_key_user_or_tag_counts_in_none_of_their_budgets(
    organization: Organization, make_budget: MakeBudget, open_attempt: Open
) -> None:
    for scope, value in (("api_key", "None"), ("api_key", ""), ("user", ""), ("tag", "")):
        make_budget(scope=scope, scope_value=value, limit_nano=0)
    open_attempt()
    assert not BudgetWindow.objects.exists()


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (lambda attempt: attempts.release(attempt, "RATE_LIMITED"), 0),
        (lambda attempt: attempts.estimate(attempt, "TIMEOUT"), None),
        (lambda attempt: (attempts.estimate(attempt, "TIMEOUT"), attempts.refund(attempt)), 0),
        (lambda attempt: (attempts.estimate(attempt, "TIMEOUT"), attempts.settle(attempt, USAGE, {})), COST),
        (lambda attempt: (attempts.release(attempt), attempts.settle(attempt, USAGE, {})), COST),
    ],
    ids=["released", "estimated", "refunded", "corrected", "billed late"],
)
def test_every_outcome_frees_the_hold_and_counts_the_cost(
    make_budget: MakeBudget, open_attempt: Open, end: Callable[[Attempt], object], expected: int | None
) -> None:
    budget = make_budget()
    attempt = open_attempt()
    attempts.dispatch(attempt, attempts.DEADLINE_GRACE)
    end(attempt)
    assert state_of(budget) == (attempt.bound_nano if expected is None else expected, 0)
    assert list(disagreements()) == []


def test_a_refused_call_leaves_nothing_behind(make_budget: MakeBudget, open_attempt: Open) -> None:
    budget = make_budget(limit_nano=36_000)
    attempts.settle(open_attempt(), USAGE, {})
    with pytest.raises(BudgetExceededError) as refusal:
        open_attempt(messages=[{"role": "user", "content": "long " * 100}])
    assert refusal.value.available_nano == 36_000 - COST
    assert state_of(budget) == (COST, 0)
    assert [Attempt.objects.count(), Hold.objects.count(), LedgerEntry.objects.count()] == [1, 1, 1]


def test_increase_makes_room_until_it_is_withdrawn_and_refusals_state_the_amounts(
    organization: Organization, make_budget: MakeBudget, open_attempt: Open
) -> None:
    bound = open_attempt().bound_nano
    budget = make_budget(limit_nano=1_000)
    (full,) = windows_now(organization.pk)
    spend(full.window, committed=1_000)

    def increase(nano: int) -> BudgetIncrease:
        until = timezone.now() + DAY
        return grant_increase(budget=budget, nano=nano, reason="launch", expires_at=until, actor="user:finance")

    def refusal() -> tuple[type, int, int, str]:
        with pytest.raises(BudgetRefusedError) as raised:
            open_attempt()
        error = raised.value
        assert error.budget == budget
        return type(error), error.needed_nano, error.available_nano, str(error)

    def spent(limit: int, left: int) -> tuple[type, int, int, str]:
        message = (
            f"The daily budget of the organization has ${dollars(left)} of ${dollars(limit)} left, "
            f"and this call can cost up to ${dollars(bound)}. {advice[left > 1]}"
        )
        return BudgetExceededError, bound, left, message

    advice = (
        "Its prompt alone doesn't fit.",
        "It fits with at most 99 output tokens.",
    )
    assert refusal() == spent(1_000, 0)
    almost = increase(bound - 1)
    assert refusal() == spent(1_000 + bound - 1, bound - 1)
    increase(1)
    open_attempt()
    limit = dollars(1_000 + bound)
    held = f"Calls in progress hold the rest of the daily budget of the organization (${limit}). Try again in a moment."
    assert refusal() == (BudgetBusyError, bound, 0, held)
    withdraw_increase(increase=almost, actor="user:finance")
    assert refusal() == spent(1_001, 1)
    spend(full.window, committed=1_500)
    assert refusal()[2:] == (-499, spent(1_001, 0)[3])


def test_budget_held_by_calls_in_progress_is_busy_not_exceeded(make_budget: MakeBudget, open_attempt: Open) -> None:
    bound = open_attempt().bound_nano
    make_budget(limit_nano=2 * bound - 1)
    first = open_attempt()
    with pytest.raises(BudgetBusyError):
        open_attempt()
    attempts.release(first)
    open_attempt()


def test_refusal_by_the_last_budget_releases_the_others(make_budget: MakeBudget, open_attempt: Open) -> None:
    roomy, narrow = make_budget(), make_budget(period="monthly", limit_nano=1)
    with pytest.raises(BudgetExceededError):
        open_attempt()
    assert not BudgetWindow.objects.filter(budget__in=[roomy, narrow]).exclude(reserved_nano=0).exists()


def test_warning_budget_admits_every_call(make_budget: MakeBudget, open_attempt: Open) -> None:
    budget = make_budget(limit_nano=1, enforcement="warn")
    attempt = open_attempt()
    attempts.settle(attempt, USAGE, {})
    assert state_of(budget) == (COST, 0)


def test_lowered_limit_admits_no_more_calls(make_budget: MakeBudget, open_attempt: Open) -> None:
    budget = make_budget()
    first = open_attempt()
    BudgetWindow.objects.filter(budget=budget).update(limit_nano=10)
    with pytest.raises(BudgetExceededError):
        open_attempt()
    attempts.settle(first, USAGE, {})
    assert state_of(budget) == (COST, 0)


def test_ending_one_call_leaves_other_holds_and_spending_unchanged(make_budget: MakeBudget, open_attempt: Open) -> None:
    budgets = [make_budget(), make_budget(period="monthly")]
    first, second, third = open_attempt(), open_attempt(), open_attempt()
    attempts.settle(first, USAGE, {})
    attempts.release(second)
    for budget in budgets:
        assert state_of(budget) == (COST, third.bound_nano)
    holds = Hold.objects.filter(window__budget=budgets[0])
    assert dict(holds.values_list("attempt_id", "reserved_nano")) == {
        first.id: 0,
        second.id: 0,
        third.id: third.bound_nano,
    }
    assert dict(holds.values_list("attempt_id", "committed_nano")) == {first.id: COST, second.id: 0, third.id: 0}
    attempts.settle(third, USAGE, {})
    assert {state_of(budget) for budget in budgets} == {(2 * COST, 0)}
    assert list(disagreements()) == []


def test_windows_are_locked_by_id(make_budget: MakeBudget, open_attempt: Open) -> None:
    """Otherwise, two calls that lock the same windows in different orders would deadlock."""
    for period in ("monthly", "daily", "weekly"):
        make_budget(period=period)
    with CaptureQueriesContext(connection) as opening:
        attempt = open_attempt()
    Hold.objects.filter(attempt=attempt).update(window_id=F("window_id"))
    with CaptureQueriesContext(connection) as closing:
        attempts.settle(attempt, USAGE, {})
    ids = list(BudgetWindow.objects.order_by("id").values_list("id", flat=True))
    for queries in (opening, closing):
        updates = [each["sql"] for each in queries if each["sql"].startswith('UPDATE "cost_app_budgetwindow"')]
        assert [int(re.findall(r'"cost_app_budgetwindow"\."id" = \(?(\d+)', sql)[-1]) for sql in updates] == ids


def test_windows_show_spent_held_and_free(
    organization: Organization, make_budget: MakeBudget, open_attempt: Open
) -> None:
    make_budget()
    attempts.settle(open_attempt(), USAGE, {})
    held = open_attempt().bound_nano
    (shown,) = windows_now(organization.pk)
    assert (shown.used_nano, shown.free_nano) == (COST + held, 1_000_000 - COST - held)

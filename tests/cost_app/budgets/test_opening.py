"""The opening amount of budget windows, and refused calls."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.urls import reverse

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.alerts.detectors import budget_causes
from cost_app.budgets.manage import grant_increase, remove_budget, set_budget, spent_so_far
from cost_app.budgets.refusal_counts import count_refusals
from cost_app.budgets.refusals import BudgetExceededError
from cost_app.budgets.rollover import refresh_rollovers
from cost_app.budgets.terms import NANO_MAX, BudgetSumError, BudgetTerms
from cost_app.budgets.windows import windows_now
from cost_app.ledger import attempts
from cost_app.ledger.reconciliation import disagreements
from cost_app.ledger.rollups import fold
from cost_app.ledger.tracking import TrackedCall, track_request
from cost_app.models import Attempt, Budget, Repricing
from cost_app.policy import change_policy
from tests.cost_app.budgets.conftest import NOON
from tests.cost_app.budgets.test_views import EDIT, Browser
from tests.cost_app.budgets.test_windows import DAY

HOUR = timedelta(hours=1)
Open = Callable[..., Attempt]
USAGE = TokenUsage(input=10, output=10)
COST = 10 * 140 + 10 * 280


def set_in(organization: Organization, *, from_now: bool = False, **terms: object) -> Budget:
    budget_terms = BudgetTerms(**{"period": "monthly", "limit_nano": 10**9, **terms})  # type: ignore[arg-type]
    return set_budget(organization_id=organization.pk, terms=budget_terms, actor="user:finance", from_now=from_now)


def spent(organization: Organization) -> int:
    (window,) = windows_now(organization.pk)
    return window.window.committed_nano


@pytest.mark.parametrize(("from_now", "share"), [(False, 1), (True, 0)])
def test_new_budget_counts_its_whole_period_or_only_later_spending(
    scoped: Organization, open_attempt: Open, from_now: bool, share: int
) -> None:
    call, in_progress = open_attempt(user_ref=" ann"), open_attempt(user_ref="ann")
    attempts.settle(call, USAGE, {})
    call.refresh_from_db()
    scope = {"scope": "user", "scope_value": "ann "}
    assert spent_so_far(organization_id=scoped.pk, period="monthly", **scope) == call.cost_nano
    budget = set_in(scoped, from_now=from_now, **scope)
    assert spent(scoped) == share * call.cost_nano
    attempts.settle(in_progress, USAGE, {})
    assert spent(scoped) == share * 2 * call.cost_nano
    remove_budget(budget=budget, actor="user:finance")
    set_in(scoped, **scope)
    assert spent(scoped) == share * 2 * call.cost_nano
    assert list(disagreements()) == []


def settle(call: Attempt) -> None:
    attempts.settle(call, USAGE, {})


def reprice(call: Attempt) -> None:
    assert call.price
    period = {"starts_at": call.created_at, "ends_at": call.created_at + HOUR}
    repricing = Repricing.objects.create(
        provider=call.provider, model=call.model, by="user:staff", reason="x", **period
    )
    assert attempts.reprice(call, 7, repricing, call.price)


@pytest.mark.parametrize("correct", [settle, attempts.refund, reprice])
def test_correcting_an_earlier_call_changes_the_opening_sum(
    scoped: Organization, open_attempt: Open, correct: Callable[[Attempt], None]
) -> None:
    call = open_attempt()
    attempts.dispatch(call, timedelta(seconds=1))
    attempts.estimate(call)
    set_in(scoped)
    assert spent(scoped) == call.bound_nano
    correct(call)
    call.refresh_from_db()
    assert spent(scoped) == call.cost_nano < call.bound_nano
    assert list(disagreements()) == []


@pytest.mark.usefixtures("redis_url")
def test_budget_is_marked_as_refusing_until_calls_fit(scoped: Organization, open_attempt: Open) -> None:
    bound = open_attempt().bound_nano
    set_in(scoped, limit_nano=bound - 1, enforcement="block", from_now=True)
    for _ in range(2):
        with pytest.raises(BudgetExceededError, match="at most 99 output tokens"):
            open_attempt()
    assert count_refusals() == {scoped.pk}
    assert count_refusals() == set()
    (window,) = windows_now(scoped.pk)
    assert (window.is_refusing, window.window.refused_calls) == (True, 2)
    (cause,) = budget_causes([window])
    assert (cause.severity, "refusing calls: 2 calls" in cause.message) == ("critical", True)
    set_in(scoped, limit_nano=bound * 2, enforcement="block")
    assert not windows_now(scoped.pk)[0].is_refusing


def test_free_call_fits_into_an_exhausted_budget(
    scoped: Organization, open_attempt: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_in(scoped, limit_nano=0, enforcement="block")
    monkeypatch.setattr("cost_app.ledger.admission.bound_of", lambda *_: 0)
    assert open_attempt().bound_nano == 0


@pytest.mark.usefixtures("clock")
def test_the_sum_of_increases_stays_below_100_million(scoped: Organization) -> None:
    budget = set_in(scoped)
    increase = {"budget": budget, "reason": "more", "expires_at": NOON + DAY, "actor": "user:finance"}
    grant_increase(nano=NANO_MAX, **increase)  # type: ignore[arg-type]
    with pytest.raises(BudgetSumError):
        grant_increase(nano=1, **increase)  # type: ignore[arg-type]


def test_stale_edit_is_rejected(organization: Organization, finance: User, client_of: Browser) -> None:
    with organization_scope(organization.pk):
        budget = set_in(organization)
    client, url = client_of(finance), reverse("budget_edit", args=[budget.pk])
    seen = client.get(url).context["form"]["seen"].value()
    assert client.post(url, {**EDIT, "limit": "50", "seen": seen}).status_code == 302
    stale = client.post(url, {**EDIT, "limit": "60", "seen": seen})
    assert (stale.status_code, "Nothing was saved" in stale.text) == (422, True)


def test_late_report_counts_in_its_own_period_and_reduces_its_rollover(
    scoped: Organization, clock: Callable[[datetime], None]
) -> None:
    budget = set_in(scoped, period="daily", limit_nano=1_000_000, rollover_unused=True)
    clock(NOON + DAY)
    assert windows_now(scoped.pk)[0].limit_nano == 2_000_000
    call = track_request(
        scoped.pk, "deepseek", "deepseek-chat", TokenUsage(input=100, output=150), TrackedCall(at=NOON + HOUR)
    )
    refresh_rollovers()
    (window,) = windows_now(scoped.pk)
    assert [each.committed_nano for each in budget.windows.order_by("id")] == [call.cost_nano, 0]
    assert (window.limit_nano, window.free_nano) == (2_000_000 - call.cost_nano,) * 2


@pytest.mark.usefixtures("records_use_the_test_clock")
@pytest.mark.parametrize("ends", [attempts.estimate, attempts.release], ids=["estimated", "released"])
def test_correction_of_a_call_counts_in_the_period_in_which_it_was_booked(
    scoped: Organization, open_attempt: Open, clock: Callable[[datetime], None], ends: Callable[[Attempt], None]
) -> None:
    """The call was admitted in the period before, and the budget was set after it had been booked."""
    clock(NOON - DAY)
    call = open_attempt()
    attempts.dispatch(call, timedelta(seconds=1))
    clock(NOON)
    ends(call)
    clock(NOON + HOUR)
    set_in(scoped, period="daily")
    assert spent(scoped) == Attempt.objects.get().cost_nano
    attempts.settle(call, USAGE, {})
    assert spent(scoped) == Attempt.objects.get().cost_nano > 0
    fold()
    assert list(disagreements()) == []


@pytest.mark.usefixtures("records_use_the_test_clock")
@pytest.mark.parametrize(
    ("admitted", "booked"), [(NOON + 15 * DAY, NOON + 22 * DAY), (NOON, NOON + 15 * DAY)], ids=["admitted", "booked"]
)
def test_correction_of_a_call_counts_in_overlapping_periods(
    scoped: Organization,
    open_attempt: Open,
    clock: Callable[[datetime], None],
    admitted: datetime,
    booked: datetime,
) -> None:
    """A new fiscal day makes the next month begin before the current one ends. Both count the calls in between."""
    budget = set_in(scoped)
    change_policy(organization_id=scoped.pk, changes={"month_starts_on": 20}, actor="user:finance")
    clock(admitted)
    call = open_attempt()
    attempts.dispatch(call, timedelta(seconds=1))
    clock(booked)
    attempts.estimate(call)
    clock(NOON + 22 * DAY)
    assert spent(scoped) == call.bound_nano
    attempts.settle(call, USAGE, {})
    costs = budget.windows.order_by("id").values_list("committed_nano", flat=True)
    assert list(costs) == [Attempt.objects.get().cost_nano] * 2
    fold()
    assert list(disagreements()) == []


@pytest.mark.usefixtures("records_use_the_test_clock")
@pytest.mark.parametrize("is_held", [True, False], ids=["held", "admitted while the budget was removed"])
def test_correction_of_a_call_counts_in_one_of_two_periods(
    scoped: Organization, open_attempt: Open, clock: Callable[[datetime], None], is_held: bool
) -> None:
    """It was admitted on one day and booked on the next, and counts where it is held, or else where it is booked."""
    budget = set_in(scoped, period="daily")
    if not is_held:
        remove_budget(budget=budget, actor="user:finance")
    call = open_attempt()
    attempts.dispatch(call, timedelta(seconds=1))
    clock(NOON + DAY)
    attempts.estimate(call)
    remove_budget(budget=budget, actor="user:finance")
    clock(NOON + DAY + HOUR)
    set_in(scoped, period="daily")
    for cost in (call.bound_nano, COST):
        costs = list(budget.windows.order_by("id").values_list("committed_nano", flat=True))
        assert costs == ([cost, 0] if is_held else [0, cost])
        attempts.settle(call, USAGE, {})

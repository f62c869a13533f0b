"""Concurrent processes that correct one call, check budgets, or close a month."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets.windows import windows_now
from cost_app.ledger import attempts
from cost_app.ledger.reconciliation import disagreements
from cost_app.models import Alert, AlertState, Attempt, Budget, BudgetWindow, LedgerEntry, MonthClose, Repricing
from tests.support.race import RunRace

RACERS = 4
Race = Callable[..., list[list[str]]]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def race(run_race: RunRace) -> Race:
    """Runs racers concurrently; see `run_race`."""
    return lambda *racers: run_race("tests.cost_app.racers", racers)


def test_one_of_several_concurrent_corrections_is_booked(
    race: Race, organization: Organization, open_attempt: Callable[..., Attempt]
) -> None:
    with organization_scope(organization.pk):
        Budget.objects.create(organization=organization, period="daily", limit_nano=10**9, enforcement="block")
        attempt = open_attempt()
        attempts.dispatch(attempt, timedelta(seconds=30))
        attempts.settle(attempt, TokenUsage(input=20, output=10), {})
    now = timezone.now()
    runs = [
        Repricing.objects.create(provider="deepseek", starts_at=now, ends_at=now, by="user:x", reason="x").pk
        for _ in range(RACERS)
    ]
    costs = range(20_000, 20_000 + RACERS)
    printed = race(*[("reprice", f"{run}/{cost}") for run, cost in zip(runs, costs, strict=True)])
    assert sorted(answer for [answer] in printed) == ["False"] * (RACERS - 1) + ["True"]
    winner = printed.index(["True"])
    with organization_scope(organization.pk):
        assert Attempt.objects.get().cost_nano == costs[winner]
        assert sum(LedgerEntry.objects.values_list("nano", flat=True)) == costs[winner]
        assert LedgerEntry.objects.get(kind="adjust").repricing_id == runs[winner]
        assert BudgetWindow.objects.get().committed_nano == costs[winner]
        assert list(disagreements()) == []


@pytest.mark.parametrize("before", ["never raised", "resolved", "already sent"])
def test_one_of_several_concurrent_checks_sends_the_alert(race: Race, organization: Organization, before: str) -> None:
    now = timezone.now()
    with organization_scope(organization.pk):
        budget = Budget.objects.create(organization=organization, period="monthly", limit_nano=100)
        (window,) = windows_now(organization.pk)
        BudgetWindow.objects.filter(id=window.window.id).update(committed_nano=90)
    if before != "never raised":
        race(("check", "1"))
        with organization_scope(organization.pk):
            long_ago = now - timedelta(hours=1)
            Alert.objects.update(told_at=long_ago, opened_at=long_ago, last_seen_at=long_ago)
            if before == "resolved":
                Alert.objects.update(state=AlertState.RESOLVED, resolved_at=long_ago)
    notified = [cause for causes in race(*[("check", "")] * RACERS) for cause in causes]
    assert len(notified) == (0 if before == "already sent" else 1)
    with organization_scope(organization.pk):
        alert = Alert.objects.get()
        assert (alert.state, alert.budget) == (AlertState.OPEN, budget)


def test_concurrent_closes_store_one_and_all_succeed(race: Race, organization: Organization) -> None:
    printed = race(*[("close", "")] * RACERS)
    assert sorted(answer for [answer] in printed) == ["False"] * (RACERS - 1) + ["True"]
    with organization_scope(organization.pk):
        assert MonthClose.objects.count() == 1

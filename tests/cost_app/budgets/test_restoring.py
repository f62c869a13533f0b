"""Restoring removed budgets, concurrent edits, and the audit log of budgets."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from aiinfra.providers.base import TokenUsage
from aiinfra.tenants import audit
from aiinfra.tenants.models import AuditEvent, Organization
from cost_app.budgets.manage import budget_terms, remove_budget, set_budget
from cost_app.budgets.terms import BudgetChangedError, BudgetTerms
from cost_app.ledger.tracking import TrackedCall, track_request
from cost_app.models import Budget, BudgetWindow
from tests.cost_app.budgets.conftest import ACTOR, DOLLAR, NOON, Set
from tests.cost_app.budgets.test_manage import changes_of, only_window
from tests.cost_app.budgets.test_windows import DAY

Clock = Callable[[datetime], None]
SECOND = timedelta(seconds=1)
pytestmark = pytest.mark.usefixtures("clock")


def restore(budget: Budget, *, from_now: bool = True, **more: Any) -> Budget:
    return set_budget(
        organization_id=budget.organization_id, terms=budget_terms(budget), actor=ACTOR, from_now=from_now, **more
    )


def report(organization: Organization, at: datetime) -> int:
    usage = TokenUsage(input=100, output=150)
    return track_request(organization.pk, "deepseek", "deepseek-chat", usage, TrackedCall(at=at)).cost_nano


@pytest.mark.parametrize(("from_now", "counted"), [(True, 0), (False, 1)])
def test_budget_restored_in_a_later_period_can_start_from_now(
    set_to: Set, scoped: Organization, clock: Clock, from_now: bool, counted: int
) -> None:
    set_to(period="monthly")
    budget = set_to()
    remove_budget(budget=budget, actor=ACTOR)
    clock(NOON + DAY)
    cost = report(scoped, NOON + DAY - SECOND)
    restored = restore(budget, from_now=from_now)
    assert (restored.id, restored.counts_from) == (budget.id, NOON + DAY if from_now else None)
    assert BudgetWindow.objects.filter(budget=budget).latest("ends_at").committed_nano == counted * cost
    assert BudgetWindow.objects.get(budget__period="monthly").committed_nano == cost


def test_budget_restored_in_the_same_period_counts_all_of_it(set_to: Set, scoped: Organization, clock: Clock) -> None:
    clock(NOON - DAY)
    set_to()
    clock(NOON)
    budget = Budget.objects.get(id=only_window(scoped).window.budget_id)
    before = report(scoped, NOON - SECOND)
    remove_budget(budget=budget, actor=ACTOR)
    clock(NOON + 2 * SECOND)
    while_removed = report(scoped, NOON + SECOND)
    assert restore(budget).counts_from is None
    assert only_window(scoped).window.committed_nano == before + while_removed


def test_budget_restored_at_the_end_of_its_period_starts_from_now(
    set_to: Set, scoped: Organization, clock: Clock
) -> None:
    budget = set_to()
    remove_budget(budget=budget, actor=ACTOR)
    ends_at = BudgetWindow.objects.get().ends_at
    clock(ends_at - timedelta(microseconds=1))
    assert restore(budget).counts_from is None
    remove_budget(budget=budget, actor=ACTOR)
    clock(ends_at)
    assert restore(budget).counts_from == ends_at


def test_budget_counts_reports_from_its_start_on(set_to: Set, scoped: Organization, clock: Clock) -> None:
    terms = BudgetTerms(period="daily", limit_nano=DOLLAR)
    set_budget(organization_id=scoped.pk, terms=terms, actor=ACTOR, from_now=True)
    clock(NOON + SECOND)
    report(scoped, NOON - timedelta(microseconds=1))
    assert only_window(scoped).used_nano == 0
    cost = report(scoped, NOON)
    assert only_window(scoped).used_nano == cost


def test_a_change_at_the_end_of_a_window_applies_to_the_next_one(
    set_to: Set, scoped: Organization, clock: Clock
) -> None:
    set_to()
    ends_at = only_window(scoped).window.ends_at
    clock(ends_at)
    set_to(limit_nano=DOLLAR)
    limits = BudgetWindow.objects.order_by("starts_at").values_list("limit_nano", flat=True)
    assert list(limits) == [10 * DOLLAR, DOLLAR]


def test_edit_of_a_budget_that_was_changed_or_removed_is_rejected(set_to: Set, clock: Clock) -> None:
    seen = set_to()
    clock(NOON + SECOND)
    assert restore(seen, unchanged_since=seen.updated_at).updated_at == seen.updated_at == NOON, "the same terms"
    assert set_to(limit_nano=DOLLAR).updated_at == NOON + SECOND
    with pytest.raises(BudgetChangedError):
        restore(seen, unchanged_since=NOON)
    assert Budget.objects.get().limit_nano == DOLLAR
    clock(NOON + 2 * SECOND)
    remove_budget(budget=seen, actor=ACTOR)
    with pytest.raises(BudgetChangedError):
        restore(seen, unchanged_since=NOON + SECOND)
    assert not Budget.objects.get().is_active
    clock(NOON + 3 * SECOND)
    assert restore(seen, unchanged_since=NOON + 2 * SECOND).updated_at == NOON + 3 * SECOND


def test_change_that_cannot_be_audited_is_not_saved(set_to: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = set_to()

    def fail(**_: object) -> None:
        raise OSError("the audit log is unavailable")

    monkeypatch.setattr(audit, "record", fail)
    with pytest.raises(OSError, match="unavailable"):
        set_to(limit_nano=DOLLAR)
    with pytest.raises(OSError, match="unavailable"):
        remove_budget(budget=budget, actor=ACTOR)
    budget.refresh_from_db()
    assert (budget.limit_nano, budget.is_active) == (10 * DOLLAR, True)


def test_removed_and_changed_amounts_are_audited(set_to: Set) -> None:
    budget = set_to(rollover_unused=True)
    set_to(rollover_unused=True, rollover_cap_nano=2 * DOLLAR)
    assert changes_of("changed") == [{"rollover_cap": [None, "2.00"]}]
    budget.refresh_from_db()
    remove_budget(budget=budget, actor="user:owner")
    event = AuditEvent.objects.get(verb="budget.removed")
    assert (event.actor, event.organization_id) == ("user:owner", budget.organization_id)
    assert event.target == f"budget {budget.id}: Daily budget of the organization"
    assert event.changes["rollover_cap"] == ["2.00", None]


def test_a_long_name_is_shortened_in_the_audit_log(set_to: Set) -> None:
    budget = set_to(scope="user", scope_value="x" * 200)
    target = AuditEvent.objects.get(verb="budget.created").target
    assert (len(target), target.startswith(f"budget {budget.id}: ")) == (200, True)


def test_changing_a_budget_prefers_the_active_and_then_the_newest_one(scoped: Organization, set_to: Set) -> None:
    """A budget may have several rows, for example those of keys that replaced each other."""
    rows = {"organization": scoped, "period": "daily", "limit_nano": 1, "enforcement": "warn"}
    active = Budget.objects.create(**rows)
    newest = [Budget.objects.create(**rows, is_active=False) for _ in range(2)][-1]
    Budget.objects.create(**{**rows, "period": "weekly"})
    assert set_to().id == active.id
    remove_budget(budget=active, actor=ACTOR)
    assert set_to().id == newest.id


def test_terms_of_a_budget_can_be_read_with_changes(set_to: Set) -> None:
    budget = set_to(scope="tag", scope_value="red", rollover_unused=True, rollover_cap_nano=DOLLAR)
    terms = {"period": "daily", "scope": "tag", "scope_value": "red", "rollover_unused": True}
    expected = BudgetTerms(**terms, rollover_cap_nano=DOLLAR, limit_nano=7)  # type: ignore[arg-type]
    assert budget_terms(budget, limit_nano=7) == expected


def test_budget_restored_counts_calls_of_before_its_removal_that_were_reported_while_removed(
    set_to: Set, scoped: Organization, clock: Clock
) -> None:
    budget = set_to()
    clock(NOON + SECOND)
    remove_budget(budget=budget, actor=ACTOR)
    clock(NOON + 3 * SECOND)
    late = report(scoped, NOON)
    restore(budget)
    assert only_window(scoped).window.committed_nano == late

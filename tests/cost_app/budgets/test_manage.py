"""Creating, changing, and removing budgets."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, AuditEvent, Organization
from aiinfra.tenants.scope import system_scope
from cost_app.budgets.manage import (
    remove_budget,
    set_budget,
)
from cost_app.budgets.refusals import BudgetExceededError
from cost_app.budgets.terms import NANO_MAX, BudgetTerms, BudgetTermsError
from cost_app.budgets.windows import OpenWindow, windows_now
from cost_app.models import Attempt, Budget, BudgetWindow, ModelPrice
from cost_app.prices.lookup import priced_models
from tests.cost_app.budgets.conftest import ACTOR, DOLLAR, NOON, Set
from tests.cost_app.budgets.test_windows import DAY, spend

Clock = Callable[[datetime], None]


@pytest.fixture
def key(organization: Organization) -> ApiKey:
    return keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")[0]


def only_window(organization: Organization) -> OpenWindow:
    (window,) = windows_now(organization.pk)
    return window


def changes_of(verb: str) -> list[dict[str, Any]]:
    return [event.changes for event in AuditEvent.objects.filter(verb=f"budget.{verb}").order_by("at")]


def test_a_new_budget_has_default_thresholds_and_is_audited_in_dollars(set_to: Set) -> None:
    budget = set_to(limit_nano=12_500_000_000)
    assert (budget.warning_percent, budget.alert_percent, budget.enforcement) == (80, 95, "warn")
    (event,) = AuditEvent.objects.filter(verb="budget.created")
    assert (event.actor, event.target) == (ACTOR, f"budget {budget.id}: Daily budget of the organization")
    assert event.changes == {
        "limit": [None, "12.50"],
        "warning_percent": [None, 80],
        "alert_percent": [None, 95],
        "rollover_unused": [None, False],
        "enforcement": [None, "warn"],
    }


def test_setting_a_budget_again_changes_it_and_records_the_changes(set_to: Set) -> None:
    first, second = set_to(), set_to(limit_nano=20 * DOLLAR, enforcement="block")
    assert first.id == second.id
    assert Budget.objects.get().limit_nano == 20 * DOLLAR
    assert changes_of("changed") == [{"limit": ["10.00", "20.00"], "enforcement": ["warn", "block"]}]


def test_setting_the_same_terms_again_records_nothing(set_to: Set) -> None:
    set_to()
    set_to()
    assert AuditEvent.objects.filter(verb__startswith="budget.").count() == 1


def test_each_period_and_scope_has_a_separate_budget(set_to: Set) -> None:
    set_to()
    set_to(period="monthly")
    set_to(scope="tag", scope_value="red")
    set_to(scope="tag", scope_value="blue")
    set_to(scope="user", scope_value="red")
    assert Budget.objects.filter(is_active=True).count() == 5


def test_a_change_applies_immediately_to_the_current_window_only(
    set_to: Set, scoped: Organization, clock: Clock
) -> None:
    clock(NOON - DAY)
    budget = set_to()
    (before,) = windows_now(scoped.pk, NOON - DAY)
    clock(NOON)
    (current,) = windows_now(scoped.pk, NOON)
    set_to(limit_nano=3 * DOLLAR, enforcement="block")
    rows = BudgetWindow.objects.filter(budget=budget).order_by("starts_at").values_list("limit_nano", "enforcement")
    assert list(rows) == [(10 * DOLLAR, "warn"), (3 * DOLLAR, "block")]
    assert only_window(scoped).window.id == current.window.id != before.window.id


def test_carried_over_amount_is_added_to_a_new_limit(set_to: Set, scoped: Organization, clock: Clock) -> None:
    clock(NOON - DAY)
    set_to(rollover_unused=True)
    (before,) = windows_now(scoped.pk, NOON - DAY)
    spend(before.window, committed=4 * DOLLAR)
    clock(NOON)
    windows_now(scoped.pk, NOON)
    set_to(rollover_unused=True, limit_nano=20 * DOLLAR)
    assert only_window(scoped).window.limit_nano == 26 * DOLLAR


@pytest.mark.parametrize(
    ("terms", "limit"),
    [
        ({"rollover_unused": False}, 10),
        ({"rollover_unused": True, "rollover_cap_nano": 2 * DOLLAR}, 12),
    ],
)
def test_disabling_or_capping_rollover_applies_immediately(
    set_to: Set, scoped: Organization, clock: Clock, terms: dict[str, Any], limit: int
) -> None:
    clock(NOON - DAY)
    set_to(rollover_unused=True)
    clock(NOON)
    set_to(**terms)
    assert only_window(scoped).window.limit_nano == limit * DOLLAR


def test_limit_below_spent_and_held_amounts_refuses_the_next_call(
    set_to: Set, scoped: Organization, open_attempt: Callable[..., Attempt]
) -> None:
    set_to(enforcement="block")
    attempt = open_attempt()
    set_to(enforcement="block", limit_nano=1)
    window = only_window(scoped)
    assert (window.limit_nano, window.window.reserved_nano, window.free_nano < 0) == (1, attempt.bound_nano, True)
    with pytest.raises(BudgetExceededError):
        open_attempt()


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"period": "hourly"}, "period"),
        ({"enforcement": "hope"}, "enforcement"),
        ({"scope": "team", "scope_value": "x"}, "scope"),
        ({"limit_nano": -1}, "limit_nano"),
        ({"limit_nano": NANO_MAX + 1}, "limit_nano"),
        ({"rollover_cap_nano": -1}, "rollover_cap_nano"),
        ({"rollover_cap_nano": 1}, "rollover_cap_nano"),
        ({"scope": "tag", "scope_value": "x" * 65}, "scope_value"),
        ({"warning_percent": 0}, "warning_percent"),
        ({"alert_percent": 101}, "alert_percent"),
        ({"warning_percent": 96}, "warning_percent"),
        ({"scope_value": "x"}, "scope_value"),
        ({"scope": "user"}, "scope_value"),
        ({"scope": "tag", "scope_value": "  "}, "scope_value"),
        ({"scope": "user", "scope_value": "x" * 201}, "scope_value"),
        ({"scope": "model", "scope_value": "gpt-4"}, "scope_value"),
        ({"scope": "model", "scope_value": "openai/gpt-99"}, "scope_value"),
        ({"scope": "api_key", "scope_value": "7"}, "scope_value"),
        ({"scope": "api_key", "scope_value": "²"}, "scope_value"),
        ({"scope": "api_key", "scope_value": "9" * 30}, "scope_value"),
    ],
)
def test_an_invalid_field_is_named_and_nothing_changes(set_to: Set, terms: dict[str, Any], field: str) -> None:
    with pytest.raises(BudgetTermsError) as refusal:
        set_to(**terms)
    assert refusal.value.field == field
    assert not Budget.objects.exists()
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(("warning", "alert"), [(80, 80), (1, 100)])
def test_thresholds_at_their_bounds_are_accepted(set_to: Set, warning: int, alert: int) -> None:
    budget = set_to(warning_percent=warning, alert_percent=alert, limit_nano=0)
    assert (budget.warning_percent, budget.alert_percent, budget.limit_nano) == (warning, alert, 0)


def test_a_key_is_identified_by_public_id_or_row_id(set_to: Set, key: ApiKey) -> None:
    one = set_to(scope="api_key", scope_value=key.key_id)
    two = set_to(scope="api_key", scope_value=str(key.pk))
    assert one.id == two.id
    assert two.scope_value == str(key.pk)


def test_a_public_id_takes_precedence_over_a_row_id(set_to: Set, key: ApiKey, organization: Organization) -> None:
    with system_scope():
        keys.create_key(organization=organization, name="twin", role=Role.VIEWER, actor="command:test")
        ApiKey.objects.filter(name="twin").update(id=12345678)
        ApiKey.objects.filter(pk=key.pk).update(id=87654321, key_id="12345678")
    assert set_to(scope="api_key", scope_value="12345678").scope_value == "87654321"


def test_key_of_another_organization_is_not_found(set_to: Set, other_organization: Organization) -> None:
    theirs, _ = keys.create_key(
        organization=other_organization, name="their bot", role=Role.VIEWER, actor="command:test"
    )
    messages = set()
    for value in (theirs.key_id, str(theirs.pk), "nokey123"):
        with pytest.raises(BudgetTermsError) as refusal:
            set_to(scope="api_key", scope_value=value)
        messages.add(str(refusal.value))
    assert len(messages) == 1


def test_budget_of_a_model_without_a_current_price_can_still_be_changed(set_to: Set) -> None:
    scope = {"scope": "model", "scope_value": "deepseek/deepseek-chat"}
    set_to(**scope)
    ModelPrice.objects.update(effective_to=timezone.now())
    assert not priced_models()
    assert set_to(**scope, limit_nano=1).limit_nano == 1


def test_organizations_do_not_share_budgets(set_to: Set, other_organization: Organization) -> None:
    ours = set_to()
    theirs = set_budget(
        organization_id=other_organization.pk, terms=BudgetTerms(period="daily", limit_nano=1), actor="user:stranger"
    )
    ours.refresh_from_db()
    assert (ours.limit_nano, theirs.organization_id) == (10 * DOLLAR, other_organization.pk)


# Removing


def test_removed_budget_counts_no_calls_and_keeps_its_windows(
    set_to: Set, scoped: Organization, open_attempt: Callable[..., Attempt]
) -> None:
    budget = set_to(enforcement="block", limit_nano=DOLLAR)
    open_attempt()
    window = only_window(scoped).window
    assert remove_budget(budget=budget, actor=ACTOR)
    assert not remove_budget(budget=budget, actor=ACTOR)
    open_attempt()
    assert windows_now(scoped.pk) == []
    reserved = window.reserved_nano
    window.refresh_from_db()
    assert window.reserved_nano == reserved > 0
    assert [changes["limit"] for changes in changes_of("removed")] == [["1.00", None]]


def test_a_recreated_budget_continues_with_its_spending(set_to: Set, scoped: Organization) -> None:
    budget = set_to()
    spend(only_window(scoped).window, committed=4 * DOLLAR)
    remove_budget(budget=budget, actor=ACTOR)
    assert set_to(limit_nano=5 * DOLLAR).id == budget.id
    window = only_window(scoped)
    assert (window.limit_nano, window.free_nano) == (5 * DOLLAR, DOLLAR)
    assert [changes["limit"] for changes in changes_of("created")] == [[None, "10.00"], [None, "5.00"]]

"""Temporary budget increases through the API."""

from typing import Any

import pytest

from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope
from tests.api.support import Caller, refused
from tests.cost_app.budgets.callers import AHEAD, COST, body_of, listed, set_to


def test_budget_can_be_increased_until_a_given_time(program: Caller, organization: Organization) -> None:
    budget_id = set_to(program)["id"]
    body = {"action": "increase-budget", "budgetId": budget_id, "amount": "2.5", "reason": "launch", "expiresAt": AHEAD}
    raised = body_of(program.post(COST, body))
    (increase,) = raised["increases"]
    assert {**increase, "id": "", "by": ""} == {
        "id": "",
        "amount": "2.50",
        "reason": "launch",
        "by": "",
        "expiresAt": AHEAD,
    }
    assert increase["by"].startswith("key:")
    assert (raised["limit"], raised["window"]["limit"]) == ("12.50", "15.00")
    assert listed(program) == [raised]
    with organization_scope(organization.pk):
        assert AuditEvent.objects.get(verb="budget.increased").actor == increase["by"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"reason": ""}, "reason"),
        ({"reason": "\u2003"}, "reason"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"expiresAt": "2099-01-01T00:00:00"}, "expiresAt"),
        ({"expiresAt": "tomorrow"}, "expiresAt"),
        ({"expiresAt": "9999-12-31T23:59:59-12:00"}, "expiresAt"),  # after the maximum year in UTC
        ({"expiresAt": 4070908800}, "expiresAt"),
    ],
)
def test_an_invalid_increase_is_refused(program: Caller, fields: dict[str, Any], param: str) -> None:
    valid = {"amount": 1, "reason": "launch", "expiresAt": AHEAD}
    body = {"action": "increase-budget", "budgetId": set_to(program)["id"], **valid, **fields}
    refused(program.post(COST, body), 400, param)
    assert listed(program)[0]["increases"] == []


def test_sum_of_increases_is_limited_and_a_withdrawal_makes_room(program: Caller) -> None:
    budget_id = set_to(program)["id"]
    body = {"action": "increase-budget", "budgetId": budget_id, "reason": "launch", "expiresAt": AHEAD}
    raised = body_of(program.post(COST, {**body, "amount": "99999999"}))
    for amount in ("1", "99999999"):
        error = refused(program.post(COST, {**body, "amount": amount}), 422, "amount")
        assert error["type"] == "invalid_request"
    assert listed(program) == [raised]
    withdrawal = {"action": "withdraw-increase", "increaseId": raised["increases"][0]["id"]}
    assert body_of(program.post(COST, withdrawal)) == {"withdrawn": True}
    refused(program.post(COST, withdrawal), 404)
    assert body_of(program.post(COST, {**body, "amount": "1"}))["window"]["limit"] == "13.50"

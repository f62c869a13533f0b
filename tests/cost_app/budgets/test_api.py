"""`/api/ai/cost`: budgets."""

from typing import Any

import pytest
from django.test import Client

from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.budgets.windows import windows_now
from cost_app.models import Attempt, Budget, BudgetWindow
from tests.api.support import Caller, new_key, queries_of, refused
from tests.cost_app.budgets.callers import AHEAD, BUDGET, COST, body_of, listed, set_to


def test_a_budget_is_set_and_listed(program: Caller, organization: Organization) -> None:
    made = set_to(program, enforcement="block", rolloverUnused=True, rolloverCap=3)
    window = made.pop("window")
    assert made == {
        "id": made["id"],
        "period": "daily",
        "scope": "organization",
        "scopeValue": "",
        "limit": "12.50",
        "warningThreshold": 80,
        "alertThreshold": 95,
        "rolloverUnused": True,
        "rolloverCap": "3.00",
        "enforcement": "block",
        "increases": [],
    }
    zero = {"spent": "0.00", "held": "0.00", "percent": 0, "refusing": False, "refusedCalls": 0}
    assert {**window, "start": "", "end": ""} == {"start": "", "end": "", "limit": "12.50", "free": "12.50", **zero}
    assert listed(program) == [{**made, "window": window}]


def test_list_is_empty_without_budgets(program: Caller) -> None:
    assert listed(program) == []


def test_the_window_shows_spent_held_and_free(program: Caller, organization: Organization) -> None:
    set_to(program, limit=10)
    with organization_scope(organization.pk):
        windows_now(organization.pk)
        BudgetWindow.objects.update(committed_nano=7_999_999_999, reserved_nano=3_000_000_000)
    window = listed(program)[0]["window"]
    assert {name: window[name] for name in ("limit", "spent", "held", "free", "percent")} == {
        "limit": "10.00",
        "spent": "7.999999999",
        "held": "3.00",
        "free": "-0.999999999",
        "percent": 79,
    }


@pytest.mark.parametrize(
    ("sent", "nano"),
    [
        ("0.000000001", 1),
        ("99999999.999999999", 99_999_999_999_999_999),
        ("0", 0),
        (0, 0),
        (0.1, 100_000_000),
        (1e-9, 1),
        (0.29, 290_000_000),
        (12345678.1, 12_345_678_100_000_000),
        (8388607.999999999, 8_388_607_999_999_999),
        (99_999_999, 99_999_999_000_000_000),
    ],
)
def test_amounts_are_parsed_exactly(program: Caller, organization: Organization, sent: object, nano: int) -> None:
    set_to(program, limit=sent)
    with organization_scope(organization.pk):
        assert Budget.objects.get().limit_nano == nano


def test_number_that_is_not_exact_is_refused(program: Caller) -> None:
    """Python and JavaScript send 12345678.123456789 as 12345678.12345679."""
    answer = program.post(COST, {**BUDGET, "limit": 12345678.123456789})
    assert "Send the amount as a string" in refused(answer, 400, "limit")["message"]
    set_to(program, limit="12345678.123456789")
    assert listed(program)[0]["limit"] == "12345678.123456789"


@pytest.mark.parametrize(
    "sent", ["", "-1", "1.0000000001", "1e3", "100000000", " 1", "٣", "NaN", -1, -1e-9, 1e-10, 1e8, True, None, [1]]
)
def test_an_invalid_amount_is_refused(program: Caller, sent: object) -> None:
    refused(program.post(COST, {**BUDGET, "limit": sent}), 400, "limit")
    assert listed(program) == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"period": "hourly"}, "period"),
        ({"enforcement": "hope"}, "enforcement"),
        ({"warningThreshold": 0}, "warningThreshold"),
        ({"warningThreshold": 80.5}, "warningThreshold"),
        ({"alertThreshold": 101}, "alertThreshold"),
        ({"alertThreshold": "95"}, "alertThreshold"),
        ({"warningThreshold": 96}, "warningThreshold"),
        ({"rolloverCap": -1}, "rolloverCap"),
        ({"scope": {"type": "model", "value": "openai/gpt-99"}}, "scope.value"),
        ({"scope": {"type": "tag", "value": "  "}}, "scope.value"),
        ({"scope": {"type": "api_key", "value": "nokey123"}}, "scope.value"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_an_invalid_field_is_named(program: Caller, fields: dict[str, Any], param: str) -> None:
    refused(program.post(COST, {**BUDGET, **fields}), 400, param)
    assert listed(program) == []


@pytest.mark.parametrize(
    "scope",
    ["user", "api_key", None, {"type": "user"}, {"type": "organization", "value": "x"}, {"type": "tag", "value": ""}],
)
def test_a_scope_is_the_organization_or_a_type_and_a_value(program: Caller, scope: object) -> None:
    refused(program.post(COST, {**BUDGET, "scope": scope}), 400)


def test_whole_numbers_may_be_written_as_floats(program: Caller) -> None:
    assert set_to(program, warningThreshold=50.0)["warningThreshold"] == 50


def test_setting_a_budget_again_changes_it_and_resets_omitted_fields(program: Caller) -> None:
    first = set_to(program, enforcement="block", warningThreshold=10)
    second = set_to(program, limit=1)
    assert second["id"] == first["id"]
    assert (second["limit"], second["enforcement"], second["warningThreshold"]) == ("1.00", "warn", 80)
    assert len(listed(program)) == 1


def test_keys_are_identified_by_public_id_in_both_directions(program: Caller, organization: Organization) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.VIEWER, actor="command:test")
    for value in (key.key_id, str(key.pk)):
        made = set_to(program, scope={"type": "api_key", "value": value})
        assert (made["scope"], made["scopeValue"]) == ("api_key", key.key_id)
    assert len(listed(program)) == 1


def test_key_of_another_organization_is_not_found(program: Caller, other_organization: Organization) -> None:
    theirs, _ = keys.create_key(organization=other_organization, name="bot", role=Role.VIEWER, actor="command:test")
    errors = {
        refused(program.post(COST, {**BUDGET, "scope": {"type": "api_key", "value": value}}), 400)["message"]
        for value in (theirs.key_id, str(theirs.pk), "nokey123")
    }
    assert len(errors) == 1


def test_a_budget_is_removed_once(program: Caller) -> None:
    body = {"action": "remove-budget", "budgetId": set_to(program)["id"]}
    assert body_of(program.post(COST, body)) == {"removed": True}
    refused(program.post(COST, body), 404)
    assert listed(program) == []


@pytest.mark.parametrize("action", ["remove-budget", "increase-budget"])
def test_budget_of_another_organization_is_not_found(
    program: Caller, other_organization: Organization, action: str
) -> None:
    stranger = Caller(key=new_key(other_organization, Role.OWNER))
    theirs = set_to(stranger)["id"]
    more = {"amount": 1, "reason": "x", "expiresAt": AHEAD} if action == "increase-budget" else {}
    errors = set()
    for budget_id in (theirs, "999999", "", "x", "²", "9" * 40):
        error = refused(program.post(COST, {"action": action, "budgetId": budget_id, **more}), 404)
        errors.add((error["type"], error["message"]))
    assert len(errors) == 1
    assert len(listed(stranger)) == 1
    assert listed(program) == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_viewers_and_operators_cannot_change_budgets(program: Caller, organization: Organization, role: Role) -> None:
    budget_id = set_to(program)["id"]
    reader = Caller(key=new_key(organization, role))
    increase = {"amount": 1, "reason": "x", "expiresAt": AHEAD}
    for body in (
        BUDGET,
        {"action": "remove-budget", "budgetId": budget_id},
        {"action": "increase-budget", "budgetId": budget_id, **increase},
    ):
        refused(reader.post(COST, body), 403)
    assert listed(reader) == listed(program)
    assert listed(program)[0]["limit"] == "12.50"


def test_key_requires_the_scope(organization: Organization) -> None:
    refused(Caller(key=new_key(organization, Role.OWNER, ["cost:read"])).post(COST, BUDGET), 403)
    refused(Caller(key=new_key(organization, Role.OWNER, ["budget:write"])).get(COST, action="budgets"), 403)


def test_a_credential_is_required(db: None) -> None:
    refused(Caller().get(COST, action="budgets"), 401)
    refused(Caller().post(COST, BUDGET), 401)


def test_session_requires_a_csrf_token(finance: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(finance)
    assert refused(Caller(client).post(COST, BUDGET), 403)["type"] == "csrf_failed"


def test_list_runs_the_same_number_of_queries_with_more_budgets(program: Caller, organization: Organization) -> None:
    def add(number: int) -> None:
        name = f"bot {number}"
        key, _ = keys.create_key(organization=organization, name=name, role=Role.VIEWER, actor="command:test")
        made = set_to(program, scope={"type": "api_key", "value": key.key_id})
        increase = {"amount": 1, "reason": "x", "expiresAt": AHEAD}
        body_of(program.post(COST, {"action": "increase-budget", "budgetId": made["id"], **increase}))

    add(0)
    one = queries_of(lambda: listed(program))
    for number in range(1, 10):
        add(number)
    assert queries_of(lambda: listed(program)) == one


def test_setting_a_budget_runs_the_same_number_of_queries_with_more_budgets(program: Caller) -> None:
    def cost_of(tag: str) -> int:
        return queries_of(lambda: set_to(program, scope={"type": "tag", "value": tag}))

    listed(program)  # records the first use of the key, at most once per minute
    cost_of("the first, which makes the organization's policy")
    first = cost_of("a")
    assert [cost_of(f"tag {number}") for number in range(9)][-1] == first


@pytest.mark.parametrize("bound", ["CALL_MAX_NANO", "DAY_MAX_NANO"])
def test_report_above_the_maximum_is_rejected_and_books_nothing(
    program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(f"cost_app.ledger.tracking.{bound}", 1)
    monkeypatch.setattr("cost_app.ledger.tracking.LARGE_NANO", 1)
    usage = {"promptTokens": 100, "completionTokens": 150}
    body = {"action": "track", "provider": "deepseek", "model": "deepseek-chat", "usage": usage}
    error = refused(Caller(key=new_key(organization, Role.ADMIN)).post(COST, body), 422, "usage")
    assert error["type"] == "invalid_request"
    with organization_scope(organization.pk):
        assert not Attempt.objects.exists()

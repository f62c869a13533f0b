"""Every write supports `Idempotency-Key`: a repeat gets the same response, has no effect, and needs the same body."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.urls import get_resolver
from django.utils import timezone

from aiinfra import idempotency
from aiinfra.openapi import find_endpoints
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import OnceAnswer, Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import Attempt, Budget, BudgetIncrease
from tests.api.support import CACHE, COST, QUEUE, Caller, new_key, refused

KEY = {"Idempotency-Key": "raise-4711"}
OWN = {None, "track"}
"""Actions that store the key in their own row (enqueue, chat, and track); see tests/api/test_idempotency.py."""


@pytest.fixture
def program(organization: Organization) -> Caller:
    return Caller(key=new_key(organization, Role.ADMIN))


@pytest.fixture
def budget(organization: Organization) -> Budget:
    with organization_scope(organization.pk):
        return Budget.objects.create(organization=organization, period="monthly", limit_nano=10**9)


@pytest.fixture
def body(budget: Budget) -> dict[str, Any]:

    return {
        "action": "increase-budget",
        "budgetId": str(budget.pk),
        "amount": "5.00",
        "reason": "launch",
        "expiresAt": "2999-01-01T00:00:00Z",
    }


def increases() -> int:
    with system_scope():
        return BudgetIncrease.objects.count()


def test_every_write_declares_its_idempotency() -> None:
    found = {
        action: operation.once
        for _, endpoint in find_endpoints(get_resolver().url_patterns)
        for (method, action), operation in endpoint.operations.items()
        if method == "POST"
    }
    assert {action for action, how in found.items() if how == "own"} == OWN
    assert [action for action, how in found.items() if how == "never"] == ["rotate-webhook-secret"]
    assert len(found) > 20


def test_repeat_gets_the_first_response_and_changes_nothing(program: Caller, body: dict[str, Any]) -> None:
    first, second = (program.post(COST, body, **KEY) for _ in range(2))
    assert first.status_code == 200, first.content
    assert (second.status_code, second.content) == (200, first.content)
    assert (first.has_header("Idempotent-Replayed"), second["Idempotent-Replayed"]) == (False, "true")
    assert increases() == 1


@pytest.mark.parametrize("change", [{"amount": "6.00"}, {"action": "remove-budget", "amount": None}])
def test_reusing_the_key_with_a_different_body_returns_409(
    program: Caller, body: dict[str, Any], change: dict[str, Any]
) -> None:
    program.post(COST, body, **KEY)
    other = {name: value for name, value in {**body, **change}.items() if value is not None}
    if other["action"] == "remove-budget":
        other = {"action": "remove-budget", "budgetId": body["budgetId"]}
    error = refused(program.post(COST, other, **KEY), 409)
    assert (error["type"], error["param"]) == ("idempotency_conflict", "Idempotency-Key")
    assert increases() == 1


def test_key_of_a_report_with_its_own_id_belongs_to_one_report(program: Caller) -> None:
    """The ID in the body decides what is booked, but the key in the header still allows only one body."""
    call = {"provider": "deepseek", "model": "deepseek-chat", "usage": {"promptTokens": 9, "completionTokens": 9}}
    report = {"action": "track", **call, "externalId": "invoice-7"}
    first, again = (program.post(COST, report, **KEY) for _ in range(2))
    assert (first.status_code, again.content) == (200, first.content)
    refused(program.post(COST, {**report, "externalId": "invoice-8"}, **KEY), 409, "Idempotency-Key")
    assert program.post(COST, report, **{"Idempotency-Key": "raise-4712"}).json() == first.json()
    with system_scope():
        assert Attempt.objects.count() == 1


def test_rejected_request_does_not_use_up_its_key(program: Caller, body: dict[str, Any]) -> None:
    refused(program.post(COST, {**body, "amount": "-1.00"}, **KEY), 400)
    refused(program.post(COST, {**body, "budgetId": "999999"}, **KEY), 404)
    assert program.post(COST, body, **KEY).status_code == 200
    assert increases() == 1


def test_keys_are_separate_per_organization(
    program: Caller, other_organization: Organization, body: dict[str, Any]
) -> None:
    program.post(COST, body, **KEY)
    other = Caller(key=new_key(other_organization, Role.ADMIN))
    refused(other.post(COST, body, **KEY), 404)


@pytest.mark.parametrize(
    "write",
    [
        (QUEUE, {"action": "pause", "priority": "low"}, {"action": "pause", "priority": "high"}),
        (CACHE, {"action": "clear", "tags": ["a"]}, {"action": "clear", "tags": ["b"]}),
    ],
)
def test_writes_with_external_effects_claim_the_key_first(
    program: Caller, write: tuple[str, dict[str, Any], dict[str, Any]]
) -> None:
    address, body, other = write
    first, second = (program.post(address, body, **KEY) for _ in range(2))
    assert first.status_code == 200, first.content
    assert (second.content, second["Idempotent-Replayed"]) == (first.content, "true")
    refused(program.post(address, other, **KEY), 409)


def test_repeat_during_the_first_run_returns_409(program: Caller, organization: Organization) -> None:
    body = {"action": "pause", "priority": "low"}
    program.post(QUEUE, body, **KEY)
    with system_scope():
        OnceAnswer.objects.update(status=None)
    answer = program.post(QUEUE, body, **KEY)
    assert refused(answer, 409)["type"] == "idempotency_in_progress"
    assert answer["Retry-After"] == "1"
    with system_scope():
        OnceAnswer.objects.update(created_at=timezone.now() - idempotency.ABANDONED * 1.01)
    assert program.post(QUEUE, body, **KEY).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_concurrent_repeats_take_effect_once(program: Caller, body: dict[str, Any]) -> None:
    barrier = threading.Barrier(4)

    def call(_number: int) -> bytes:
        barrier.wait()
        try:
            return bytes(program.post(COST, body, **KEY).content)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(call, range(4)))
    assert len(answers) == 1
    assert increases() == 1

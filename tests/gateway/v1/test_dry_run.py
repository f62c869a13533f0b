"""A dry run returns a call's cost and route, calls no provider, and writes nothing."""

import json
from decimal import Decimal
from typing import Any

import pytest

from aiinfra.openapi import document
from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Budget, BudgetWindow
from tests.api.support import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    MESSAGES,
    MESSAGES_DOOR,
    QUEUE,
    RESPONSES,
    Caller,
    enqueue_body,
    error_of,
    refused,
    rows,
)

DRY = {"x-aiinfra-dry-run": "true"}
BODIES: dict[str, dict[str, Any]] = {
    COMPLETIONS: {"model": "gpt-4", "messages": MESSAGES, "max_tokens": 500},
    RESPONSES: {"model": "gpt-4", "input": "What is a queue?", "max_output_tokens": 500},
    MESSAGES_DOOR: {"model": "claude-haiku-4-5", "messages": MESSAGES, "max_tokens": 500},
    EMBEDDINGS: {"model": "text-embedding-3-small", "input": ["a", "b"]},
}


@pytest.fixture
def budget(organization: Organization) -> Budget:
    with organization_scope(organization.pk):
        return Budget.objects.create(organization=organization, period="monthly", limit_nano=10**9, enforcement="block")


def quote_of(caller: Caller, address: str, **changes: Any) -> dict[str, Any]:
    response = caller.post(address, {**BODIES[address], **changes}, **DRY)
    assert response.status_code == 200, response.content
    assert response["x-aiinfra-dry-run"] == "true"
    body: dict[str, Any] = json.loads(response.content)
    return body


@pytest.mark.parametrize("address", BODIES)
@pytest.mark.parametrize("stream", [False, True])
def test_quoted_costs_are_ordered_and_nothing_is_written(
    program: Caller, budget: Budget, address: str, stream: bool
) -> None:
    program.get(QUEUE, action="stats")  # records the key's first use
    before = rows()
    quote = quote_of(program, address, **({"stream": stream} if address != EMBEDDINGS else {}))
    low, expected, most = (Decimal(quote["cost"][name]) for name in ("low", "expected", "most"))
    assert 0 < low <= expected <= most
    assert (quote["cost"]["currency"], quote["budget_remaining"], quote["fits_budget"]) == ("USD", "1.00", True)
    assert (quote["provider"], quote["position"]) == ("anthropic" if address == MESSAGES_DOOR else "openai", 1)
    assert rows() == before
    with organization_scope(budget.organization_id):
        assert not BudgetWindow.objects.exists()


def test_quoted_maximum_equals_the_reservation(program: Caller, budget: Budget) -> None:
    body = enqueue_body(provider="openai", model="gpt-4", maxTokens=500)
    most = quote_of(program, COMPLETIONS)["cost"]["most"]
    assert program.post(QUEUE, body).status_code == 202
    with organization_scope(budget.organization_id):
        held = BudgetWindow.objects.get().reserved_nano
    assert Decimal(most) * 10**9 == held
    after = quote_of(program, COMPLETIONS)
    assert Decimal(after["budget_remaining"]) == 1 - Decimal(most)
    assert after["position"] == 2


def test_call_over_budget_is_quoted_without_counting_as_refused(program: Caller, budget: Budget) -> None:
    with organization_scope(budget.organization_id):
        Budget.objects.update(limit_nano=1)
    quote = quote_of(program, COMPLETIONS)
    assert (quote["budget_remaining"], quote["fits_budget"]) == ("0.000000001", False)
    assert redis_client().keys("cost:{refused}*") == []


def test_quote_names_the_fallbacks(program: Caller) -> None:
    fallbacks = quote_of(program, COMPLETIONS)["fallbacks"]
    assert fallbacks and all("/" in name for name in fallbacks)
    assert quote_of(program, EMBEDDINGS)["fallbacks"] == []


@pytest.mark.parametrize("address", [QUEUE, CHAT])
@pytest.mark.parametrize("wait", [False, True])
def test_native_endpoints_return_the_same_quote(program: Caller, budget: Budget, address: str, wait: bool) -> None:
    body = enqueue_body(provider="openai", model="gpt-4", maxTokens=500, **({"wait": wait} if address == CHAT else {}))
    expected = quote_of(program, COMPLETIONS)
    before = rows()
    response = program.post(address, body, **DRY)
    quote = json.loads(response.content)
    assert (response.status_code, response["x-aiinfra-dry-run"]) == (200, "true")
    assert {"object": "aiinfra.dry_run", **quote} == {
        **{name: expected[name] for name in ("object", "provider", "model", "fallbacks", "cost", "position")},
        "budgetRemaining": expected["budget_remaining"],
        "fitsBudget": expected["fits_budget"],
    }
    assert rows() == before
    refused(program.post(address, body, **{"x-aiinfra-dry-run": "maybe"}), 400, "x-aiinfra-dry-run")
    refused(program.post(address, {**body, "model": "nothing"}, **DRY), 422, "model")


@pytest.mark.parametrize("value", ["yes", "1", ""])
def test_invalid_header_value_is_refused(program: Caller, value: str) -> None:
    response = program.post(COMPLETIONS, BODIES[COMPLETIONS], **{"x-aiinfra-dry-run": value})
    assert (response.status_code, error_of(response)["param"]) == (400, "x-aiinfra-dry-run")


def test_invalid_call_is_refused_like_without_a_dry_run(program: Caller) -> None:
    response = program.post(COMPLETIONS, {**BODIES[COMPLETIONS], "n": 2}, **DRY)
    assert (response.status_code, error_of(response)["param"]) == (400, "n")
    response = program.post(EMBEDDINGS, BODIES[EMBEDDINGS], **DRY, **{"Idempotency-Key": "x"})
    assert (response.status_code, error_of(response)["param"]) == (400, "Idempotency-Key")


def test_another_organizations_budget_is_not_quoted(other_program: Caller, budget: Budget) -> None:
    assert quote_of(other_program, COMPLETIONS)["budget_remaining"] is None


@pytest.mark.parametrize("address", [CHAT, QUEUE])
def test_schema_has_the_header_and_its_value_is_checked(address: str, program: Caller) -> None:
    headers = [each for each in document()["paths"][address]["post"]["parameters"] if each["in"] == "header"]
    [described] = [each for each in headers if each["name"] == "x-aiinfra-dry-run"]
    assert (described["schema"], bool(described["description"])) == ({"type": "boolean"}, True)
    for body in (enqueue_body(), {"action": "cancel", "requestId": "x"}):
        refused(program.post(address, body, **{"x-aiinfra-dry-run": "maybe"}), 400, "x-aiinfra-dry-run")

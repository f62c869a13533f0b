"""A model that doesn't exist returns a 404 on every endpoint, as at OpenAI and Anthropic."""

import json
from typing import Any

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import CostPolicy, UnpricedModels
from tests.api.support import (
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES,
    MESSAGES_DOOR,
    RESPONSES,
    Caller,
    error_of,
)

DRY = {"x-aiinfra-dry-run": "true"}
BODIES: dict[str, dict[str, Any]] = {
    COMPLETIONS: {"messages": MESSAGES},
    RESPONSES: {"input": "What is a queue?"},
    MESSAGES_DOOR: {"messages": MESSAGES, "max_tokens": 50},
    COUNT_TOKENS: {"messages": MESSAGES},
    EMBEDDINGS: {"input": "a"},
}


@pytest.mark.parametrize("name", ["claude-nope", "GPT-4", " ", "nowhere/gpt-4", "anthropic/", "模型"])
@pytest.mark.parametrize("address", BODIES)
def test_unknown_model_is_not_found(program: Caller, address: str, name: str) -> None:
    response = program.post(address, {**BODIES[address], "model": name}, **DRY)
    error = error_of(response)
    assert (response.status_code, f"`{name}`" in error["message"]) == (404, True)
    is_anthropic = address in {MESSAGES_DOOR, COUNT_TOKENS}
    assert error["type"] == ("not_found_error" if is_anthropic else "invalid_request_error")


@pytest.mark.parametrize("address", [MESSAGES_DOOR, COUNT_TOKENS])
def test_new_model_of_anthropic_is_passed_on_if_models_without_a_price_are_allowed(
    program: Caller, organization: Organization, address: str
) -> None:
    with organization_scope(organization.pk):
        CostPolicy.objects.create(organization=organization, unpriced_models=UnpricedModels.WARN)
    response = program.post(address, {**BODIES[address], "model": "claude-new"}, **DRY)
    assert response.status_code == 200, response.content
    if address == MESSAGES_DOOR:
        assert json.loads(response.content)["model"] == "claude-new"

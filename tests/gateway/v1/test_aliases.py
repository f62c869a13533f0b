"""Model aliases: who can see and change them, and which model a call gets."""

import json
from typing import Any

import pytest

from aiinfra.api import ApiCall
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.model_names import BUILT_IN, resolve, resolve_embedding
from aiinfra.tenants.authorization import Principal, Role
from aiinfra.tenants.key_access import KeyAccess
from aiinfra.tenants.key_limits import KeyLimits
from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.models import CostPolicy, UnpricedModels
from queue_app.api import submission_of
from queue_app.payloads import CallOptions
from tests.api.support import ALIASES, MESSAGES, MODELS, Caller, new_key, refused
from tests.gateway.v1.bodies import call_of


@pytest.fixture
def admin_caller(organization: Organization) -> Caller:
    return Caller(key=new_key(organization, Role.ADMIN))


def set_alias(caller: Caller, alias: str, model: str) -> Any:
    return caller.post(ALIASES, {"action": "set", "alias": alias, "model": model})


def aliases_of(caller: Caller) -> dict[str, str | None]:
    return {each["alias"]: each["model"] for each in json.loads(caller.get(ALIASES).content)["aliases"]}


def with_access(organization: Organization, **access: Any) -> ApiCall:
    limits = KeyLimits(access=KeyAccess(**access))
    principal = Principal(organization.pk, "north", Role.OPERATOR, "key:x", api_key_id=1, limits=limits)
    return ApiCall(call_of(organization).http, principal, None)


def test_alias_is_set_changed_and_removed(organization: Organization, admin_caller: Caller) -> None:
    assert aliases_of(admin_caller) == dict.fromkeys(BUILT_IN)
    assert set_alias(admin_caller, "writer", "gpt-4").status_code == 200
    assert set_alias(admin_caller, "writer", "deepseek/deepseek-chat").status_code == 200
    assert aliases_of(admin_caller)["writer"] == "deepseek/deepseek-chat"
    with organization_scope(organization.pk):
        assert resolve(call_of(organization), "writer") == ("deepseek", "deepseek-chat", "writer")
        changes = [event.changes for event in AuditEvent.objects.filter(verb="model_alias.changed").order_by("at")]
    assert changes == [{"target": [None, "gpt-4"]}, {"target": ["gpt-4", "deepseek/deepseek-chat"]}]
    removed = [admin_caller.post(ALIASES, {"action": "remove", "alias": "writer"}) for _ in range(2)]
    assert [json.loads(each.content)["removed"] for each in removed] == [1, 0]
    with organization_scope(organization.pk), pytest.raises(ApiError) as unknown:
        resolve(call_of(organization), "writer")
    assert (unknown.value.status, unknown.value.kind) == (404, "model_not_found")


@pytest.mark.parametrize("model", ["nothing", "openai/nothing", "nobody/gpt-4", "auto"])
def test_unknown_model_is_refused(admin_caller: Caller, model: str) -> None:
    refused(set_alias(admin_caller, "writer", model), 404, "model")


def test_model_without_a_price_is_accepted_where_its_calls_are(
    organization: Organization, admin_caller: Caller
) -> None:
    with organization_scope(organization.pk):
        CostPolicy.objects.create(organization=organization, unpriced_models=UnpricedModels.WARN)
    assert set_alias(admin_caller, "writer", "openai/nothing").status_code == 200


@pytest.mark.parametrize("alias", ["", "two words", "a/b", "x" * 65, "-a", 5])
def test_malformed_alias_is_refused(admin_caller: Caller, alias: Any) -> None:
    refused(set_alias(admin_caller, alias, "gpt-4"), 400, "alias")


def test_alias_needs_a_known_model_and_the_permission(admin_caller: Caller, program: Caller) -> None:
    refused(set_alias(admin_caller, "writer", "no-such-model"), 404, "model")
    refused(set_alias(program, "writer", "gpt-4"), 403)
    assert aliases_of(program) == dict.fromkeys(BUILT_IN)


def test_another_organization_can_neither_see_nor_remove_an_alias(
    organization: Organization, other_organization: Organization, admin_caller: Caller
) -> None:
    set_alias(admin_caller, "writer", "gpt-4")
    foreign = Caller(key=new_key(other_organization, Role.ADMIN))
    assert aliases_of(foreign) == dict.fromkeys(BUILT_IN)
    assert json.loads(foreign.post(ALIASES, {"action": "remove", "alias": "writer"}).content) == {"removed": 0}
    assert "writer" not in foreign.get(MODELS).text
    with organization_scope(other_organization.pk), pytest.raises(ApiError):
        resolve(call_of(other_organization), "writer")
    assert aliases_of(admin_caller)["writer"] == "gpt-4"


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_alias_is_a_recommended_model_allowed_for_the_key(organization: Organization, name: str) -> None:
    with organization_scope(organization.pk):
        provider, model, alias = resolve(call_of(organization), name, MESSAGES)
        assert provider and model and alias == name
        limited = resolve(with_access(organization, models=("anthropic/*",)), name, MESSAGES)
        assert limited.provider == "anthropic"
        assert resolve(with_access(organization, models=(name,)), name, MESSAGES) == (provider, model, name)
        with pytest.raises(ApiError):
            resolve(with_access(organization, models=("no-such-model",)), name, MESSAGES)


def test_organization_can_replace_a_built_in_alias(organization: Organization, admin_caller: Caller) -> None:
    set_alias(admin_caller, "fast", "gpt-4")
    with organization_scope(organization.pk):
        assert resolve(call_of(organization), "fast", MESSAGES) == ("openai", "gpt-4", "fast")


def test_alias_can_stand_for_an_embedding_model(organization: Organization, admin_caller: Caller) -> None:
    set_alias(admin_caller, "vectors", "openai/text-embedding-3-small")
    with organization_scope(organization.pk):
        assert resolve_embedding(call_of(organization), "vectors") == ("openai", "text-embedding-3-small", "vectors")
        with pytest.raises(ApiError) as unknown:
            resolve_embedding(call_of(organization), "auto")
    assert unknown.value.kind == "model_not_found"


def test_repeated_call_matches_although_its_alias_has_changed(organization: Organization) -> None:
    options = CallOptions.model_validate({"messages": MESSAGES})
    with organization_scope(organization.pk):
        first, second, other = (
            submission_of(call_of(organization), options, *named).fingerprint
            for named in (("openai", "gpt-4", "x"), ("deepseek", "deepseek-chat", "x"), ("openai", "gpt-4", "y"))
        )
    assert first == second != other


def test_list_of_models_includes_aliases(organization: Organization, admin_caller: Caller) -> None:
    set_alias(admin_caller, "writer", "gpt-4")
    owners = {each["id"]: each["owned_by"] for each in json.loads(admin_caller.get(MODELS).content)["data"]}
    assert {name for name, owner in owners.items() if owner == "alias"} == {"auto", "cheap", "fast", "writer"}
    assert json.loads(admin_caller.get(f"{MODELS}/writer").content)["owned_by"] == "alias"

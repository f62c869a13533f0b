"""The models and endpoints that a key may use, and the defaults of its calls."""

import json
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from aiinfra import timed_cache
from aiinfra.gateway import chat
from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.key_access import DOORS, KeyAccess
from aiinfra.tenants.key_limits import KeyLimits
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.prices import lookup as pricebook
from cost_app.prices.lookup import price_of
from queue_app.models import AIRequest, Priority
from tests.api.support import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    KEYS,
    MESSAGES,
    MESSAGES_DOOR,
    MODELS,
    QUEUE,
    RESPONSES,
    Caller,
    enqueue_body,
    error_of,
    new_key,
    refused,
    rows,
)

BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    CHAT: ("chat", {"messages": MESSAGES, "model": "deepseek-chat"}),
    QUEUE: ("queue", enqueue_body()),
    COMPLETIONS: ("chat_completions", {"messages": MESSAGES, "model": "deepseek-chat"}),
    RESPONSES: ("responses", {"input": "x", "model": "deepseek-chat"}),
    MESSAGES_DOOR: ("messages", {"messages": MESSAGES, "model": "deepseek-chat", "max_tokens": 5}),
    COUNT_TOKENS: ("messages", {"messages": MESSAGES, "model": "deepseek-chat"}),
    EMBEDDINGS: ("embeddings", {"input": "x", "model": "text-embedding-3-small"}),
}


@pytest.fixture(autouse=True)
def _closed_waiting_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call waits for an answer: an accepted call returns 503 or is queued."""
    monkeypatch.setattr(chat, "waiting_room", WaitingRoom(0))


def caller_with(organization: Organization, **access: Any) -> Caller:
    text = keys.create_key(
        organization=organization,
        name="bot",
        role=Role.OPERATOR,
        limits=KeyLimits(access=KeyAccess(**access)),
        actor="command:test",
    )[1]
    return Caller(key=text)


@pytest.mark.parametrize("address", BODIES)
def test_model_not_allowed_for_the_key_returns_the_vendors_404(organization: Organization, address: str) -> None:
    caller = caller_with(organization, models=("claude-*",))
    before = rows()
    error = error_of(response := caller.post(address, BODIES[address][1]))
    assert response.status_code == 404
    assert "does not exist or you do not have access" in error["message"]
    if address in {MESSAGES_DOOR, COUNT_TOKENS}:
        assert error["type"] == "not_found_error"
    elif address.startswith("/v1/"):
        assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert rows() == before


@pytest.mark.parametrize("address", BODIES)
def test_endpoint_not_allowed_for_the_key_returns_403(organization: Organization, address: str) -> None:
    door, body = BODIES[address]
    others = tuple(name for name in DOORS if name != door)
    error = refused(caller_with(organization, doors=others).post(address, body), 403)
    assert error["type"] == ("permission_error" if address.startswith("/v1/") else "forbidden")
    if address != EMBEDDINGS:
        allowed = caller_with(organization, doors=(door,), models=("deepseek/*",)).post(address, body)
        assert allowed.status_code in {200, 202, 503, 529}, allowed.content


def test_list_of_models_has_only_models_allowed_for_the_key(organization: Organization) -> None:
    caller = caller_with(organization, models=("deepseek-chat", "openai/text-embedding-*"))
    listed = json.loads(caller.get(MODELS).content)["data"]
    shown = {model["id"] for model in listed if model["owned_by"] != "alias"}
    assert "deepseek-chat" in shown
    assert shown - {"deepseek-chat"}
    assert all(name.startswith("text-embedding-") for name in shown - {"deepseek-chat"})
    assert caller.get(f"{MODELS}/deepseek-chat").status_code == 200
    assert error_of(caller.get(f"{MODELS}/gpt-4"))["code"] == "model_not_found"


def test_default_model_is_one_that_the_key_may_use(organization: Organization) -> None:
    caller = caller_with(organization, models=("claude-*",))
    quote = json.loads(caller.post(CHAT, {"messages": MESSAGES}, **{"x-aiinfra-dry-run": "true"}).content)
    assert quote["provider"] == "anthropic"
    refused(caller_with(organization, models=("nothing",)).post(CHAT, {"messages": MESSAGES}), 404, "model")


@pytest.mark.parametrize("address", [COMPLETIONS, RESPONSES, MESSAGES_DOOR, EMBEDDINGS])
def test_model_of_several_providers_is_called_at_one_that_the_key_may_use(
    organization: Organization, settings: Settings, address: str
) -> None:
    settings.COMPATIBLE_PROVIDERS = {"local": "http://127.0.0.1:1/v1"}
    model = BODIES[address][1]["model"]
    price = price_of("openai" if address == EMBEDDINGS else "deepseek", model)
    price.pk, price.provider = None, "local"
    price.save(force_insert=True)
    pricebook.clear_price_cache()
    caller = caller_with(organization, models=("local/*",))
    quote = json.loads(caller.post(address, BODIES[address][1], **{"x-aiinfra-dry-run": "true"}).content)
    assert (quote["provider"], quote["model"]) == ("local", model)


def test_calls_get_the_keys_tags_and_priority(organization: Organization) -> None:
    caller = caller_with(organization, tags=("team-a", "b"), priority="low")
    for body in (enqueue_body(tags=["b", "mine"]), enqueue_body(priority="high")):
        assert caller.post(QUEUE, body).status_code == 202
    with organization_scope(organization.pk):
        found = {(request.priority, tuple(request.tags)) for request in AIRequest.objects.all()}
    assert found == {(Priority.LOW, ("b", "mine", "team-a")), (Priority.HIGH, ("team-a", "b"))}


def test_default_tag_with_invisible_characters_is_refused(organization: Organization) -> None:
    caller, admin = caller_with(organization), Caller(key=new_key(organization, Role.ADMIN))
    key_id = caller.headers["Authorization"].split("_")[1]
    body = {"action": "set-access", "keyId": key_id, "defaultTags": ["fine", "on\u202ecall"]}
    assert refused(admin.post(KEYS, body), 400, "defaultTags.1")["message"].endswith("such as U+202E.")


def test_changed_access_applies_to_the_next_call(organization: Organization) -> None:
    caller, admin = caller_with(organization), Caller(key=new_key(organization, Role.ADMIN))
    assert caller.post(QUEUE, enqueue_body()).status_code == 202
    key_id = caller.headers["Authorization"].split("_")[1]
    body = {"action": "set-access", "keyId": key_id, "allowedModels": ["gpt-4"]}
    assert admin.post(KEYS, body).status_code == 200
    refused(caller.post(QUEUE, enqueue_body()), 404, "model")
    timed_cache.clear_all()
    refused(caller.post(QUEUE, enqueue_body()), 404, "model")


def test_rotated_key_keeps_its_access(organization: Organization) -> None:
    access = KeyAccess(("gpt-4",), ("chat",), ("a",), "high")
    key, _ = keys.create_key(
        organization=organization,
        name="bot",
        role=Role.OPERATOR,
        limits=KeyLimits(access=access),
        actor="command:test",
    )
    with organization_scope(organization.pk):
        new, _ = keys.rotate_key(key=key, overlap=keys.ROTATION_OVERLAP_MAX, actor="command:test")
    assert new.limits.access == access

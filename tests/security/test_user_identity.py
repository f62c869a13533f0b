"""A session can name only its own user; an API key can name users only with the scope `user:name`."""

from collections.abc import Callable
from typing import Any

import pytest

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.prices import lookup as pricebook
from queue_app.models import AIRequest
from tests.api.support import CACHE, CHAT, COST, MESSAGES, QUEUE, Caller, enqueue_body, new_key, refused

QUESTION = {"provider": "deepseek", "model": "deepseek-chat", "messages": MESSAGES}
USAGE = {"provider": "deepseek", "model": "deepseek-chat", "usage": {"promptTokens": 1, "completionTokens": 1}}
CALLS: list[tuple[str, dict[str, Any]]] = [
    (QUEUE, enqueue_body()),
    (CHAT, {"messages": MESSAGES}),
    (CACHE, {"action": "lookup", **QUESTION}),
    (CACHE, {"action": "store", **QUESTION, "response": {"content": "A line."}}),
    (COST, {"action": "track", **USAGE}),
]
every_call = pytest.mark.parametrize(("address", "body"), CALLS, ids=lambda each: str(each)[:40])


@pytest.fixture(autouse=True)
def _queue(db: None, redis_url: str) -> None:
    pricebook.add_shipped_prices()


@pytest.fixture
def browser(admin: User, client_of: Callable[..., Any]) -> Caller:
    return Caller(client_of(admin))


def users_of(organization: Organization) -> set[str]:
    with organization_scope(organization.pk):
        return set(AIRequest.objects.values_list("user_ref", flat=True))


@every_call
def test_session_can_name_only_its_own_user(browser: Caller, address: str, body: dict[str, Any]) -> None:
    error = refused(browser.post(address, {**body, "userId": "anna"}), 403, "userId")
    assert error["type"] == "forbidden"
    assert browser.post(address, {**body, "userId": "admin"}).status_code < 300


@every_call
def test_key_without_the_scope_cannot_name_users(
    organization: Organization, address: str, body: dict[str, Any]
) -> None:
    scopes = ["chat:write", "queue:write", "cache:write", "usage:write"]
    caller = Caller(key=new_key(organization, Role.ADMIN, scopes))
    refused(caller.post(address, {**body, "userId": "anna"}), 403, "userId")
    assert caller.post(address, body).status_code < 300
    caller = Caller(key=new_key(organization, Role.ADMIN, [*scopes, "user:name"]))
    assert caller.post(address, {**body, "userId": "anna"}).status_code < 300


def test_request_of_a_session_belongs_to_its_user(browser: Caller, organization: Organization) -> None:
    assert browser.post(QUEUE, enqueue_body()).status_code == 202
    assert browser.post(QUEUE, enqueue_body(userId="anna")).status_code == 403
    assert users_of(organization) == {"admin"}


def test_key_has_the_scope_by_default(organization: Organization) -> None:
    caller = Caller(key=new_key(organization, Role.OPERATOR))
    assert caller.post(QUEUE, enqueue_body(userId="anna")).status_code == 202
    assert users_of(organization) == {"anna"}

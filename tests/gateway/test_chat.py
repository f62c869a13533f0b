"""`POST /api/ai/chat` for clients that do not wait."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from queue_app.models import AIRequest, QueuePolicy
from queue_app.ordering import index
from tests.api.support import CHAT, MESSAGES, QUEUE, Caller, queries_of, refused, rows


def ask(caller: Caller, **body: Any) -> dict[str, Any]:
    response = caller.post(CHAT, {"messages": MESSAGES, **body})
    assert response.status_code == 202, response.content
    answer: dict[str, Any] = json.loads(response.content)
    return answer


def stored_request(organization: Organization) -> AIRequest:
    with organization_scope(organization.pk):
        return AIRequest.objects.get()


def test_request_is_queued(program: Caller, organization: Organization) -> None:
    answer = ask(program)
    request = stored_request(organization)
    assert answer == {
        "cached": False,
        "requestId": str(request.id),
        "message": "The request is queued.",
    }
    status = json.loads(program.get(QUEUE, action="status", requestId=str(request.id)).content)
    assert status["status"] == "pending"


def test_request_of_a_session_is_queued(browser: Caller, organization: Organization) -> None:
    ask(browser, wait=False)
    assert stored_request(organization).user_ref == "operator"


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        ({}, ("deepseek", "deepseek-chat")),
        ({"provider": None, "model": None}, ("deepseek", "deepseek-chat")),
        ({"provider": "openai", "model": "gpt-4"}, ("openai", "gpt-4")),
        ({"model": "gpt-4"}, ("openai", "gpt-4")),
    ],
)
def test_model_is_optional(
    program: Caller, organization: Organization, choice: dict[str, str], chosen: tuple[str, str]
) -> None:
    ask(program, **choice)
    request = stored_request(organization)
    assert (request.provider, request.model) == chosen


def test_default_model_of_the_requested_provider_is_used(program: Caller, organization: Organization) -> None:
    ask(program, provider="openai")
    assert stored_request(organization).provider == "openai"


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    ("choice", "status", "param"),
    [
        ({"provider": "nobody"}, 400, "provider"),
        ({"model": "nothing"}, 400, "model"),
        ({"provider": "nobody", "model": "gpt-4"}, 400, "provider"),
        ({"provider": "openai", "model": "deepseek-chat"}, 422, "model"),
    ],
)
def test_unknown_provider_or_model_is_refused_by_name(
    program: Caller, choice: dict[str, str], status: int, param: str
) -> None:
    refused(program.post(CHAT, {"messages": MESSAGES, **choice}), status, param)


def test_provider_without_a_key_is_not_chosen(program: Caller, organization: Organization, settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "sk-test", "deepseek": "", "anthropic": ""}
    ask(program)
    assert stored_request(organization).provider == "openai"


@pytest.mark.usefixtures("nothing_stored")
def test_cache_only_call_returns_404_on_a_miss(program: Caller) -> None:
    assert refused(program.post(CHAT, {"messages": MESSAGES, "cache": "only"}), 404)["type"] == "cache_miss"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.FINANCE])
def test_roles_without_write_permission_are_refused(key_of: Callable[..., Caller], role: Role) -> None:
    program = key_of(role)
    before = rows()
    refused(program.post(CHAT, {"messages": MESSAGES}), 403)
    assert rows() == before


def test_key_without_the_scope_is_refused(key_of: Callable[..., Caller]) -> None:
    refused(key_of(Role.OWNER, ["queue:write"]).post(CHAT, {"messages": MESSAGES}), 403)


@pytest.mark.usefixtures("nothing_stored")
def test_another_organization_returns_404(program: Caller, other_organization: Organization) -> None:
    for slug in ("south", "no-such"):
        refused(program.post(CHAT, {"messages": MESSAGES, "organizationId": slug}), 404)


def test_full_queue_returns_429_with_retry_after(program: Caller, organization: Organization) -> None:
    with organization_scope(organization.pk):
        policy = QueuePolicy.objects.create(organization=organization, depth_limit=1)
    index.set_policy(policy)
    ask(program)
    before = rows()
    other = [{"role": "user", "content": "Another question, which waits for nobody's answer."}]
    assert int(program.post(CHAT, {"messages": other})["Retry-After"]) > 0
    refused(program.post(CHAT, {"messages": other, "wait": True}), 429)
    assert rows() == before


def test_query_count_does_not_grow_with_requests(program: Caller) -> None:
    ask(program)
    second = queries_of(lambda: ask(program))
    for _ in range(7):
        ask(program)
    assert queries_of(lambda: ask(program)) == second

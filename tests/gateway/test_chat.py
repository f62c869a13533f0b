"""`POST /api/ai/chat` for a client who does not wait."""

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


def asked(organization: Organization) -> AIRequest:
    with organization_scope(organization.pk):
        return AIRequest.objects.get()


def test_it_is_queued(program: Caller, organization: Organization) -> None:
    answer = ask(program)
    request = asked(organization)
    assert answer == {
        "cached": False,
        "requestId": str(request.id),
        "message": "The request is queued.",
    }
    status = json.loads(program.get(QUEUE, action="status", requestId=str(request.id)).content)
    assert status["status"] == "pending"


def test_it_is_queued_for_a_session(browser: Caller, organization: Organization) -> None:
    ask(browser, wait=False)
    assert asked(organization).user_ref == "operator"


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        ({}, ("deepseek", "deepseek-chat")),
        ({"provider": None, "model": None}, ("deepseek", "deepseek-chat")),
        ({"provider": "openai", "model": "gpt-4"}, ("openai", "gpt-4")),
        ({"model": "gpt-4"}, ("openai", "gpt-4")),
    ],
)
def test_the_model_is_optional(
    program: Caller, organization: Organization, choice: dict[str, str], chosen: tuple[str, str]
) -> None:
    ask(program, **choice)
    request = asked(organization)
    assert (request.provider, request.model) == chosen


def test_a_provider_without_a_model_uses_one_of_its_models(program: Caller, organization: Organization) -> None:
    ask(program, provider="openai")
    assert asked(organization).provider == "openai"


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
def test_an_unknown_provider_or_model_is_named(
    program: Caller, choice: dict[str, str], status: int, param: str
) -> None:
    refused(program.post(CHAT, {"messages": MESSAGES, **choice}), status, param)


def test_a_provider_without_a_key_is_not_chosen(
    program: Caller, organization: Organization, settings: Settings
) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "sk-test", "deepseek": "", "anthropic": ""}
    ask(program)
    assert asked(organization).provider == "openai"


@pytest.mark.usefixtures("nothing_stored")
def test_only_the_cache_has_no_answer(program: Caller) -> None:
    assert refused(program.post(CHAT, {"messages": MESSAGES, "cache": "only"}), 404)["type"] == "cache_miss"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.FINANCE])
def test_readers_are_refused(key_of: Callable[..., Caller], role: Role) -> None:
    program = key_of(role)
    before = rows()
    refused(program.post(CHAT, {"messages": MESSAGES}), 403)
    assert rows() == before


def test_a_key_without_the_scope_is_refused(key_of: Callable[..., Caller]) -> None:
    refused(key_of(Role.OWNER, ["queue:write"]).post(CHAT, {"messages": MESSAGES}), 403)


@pytest.mark.usefixtures("nothing_stored")
def test_another_organization_is_not_found(program: Caller, other_organization: Organization) -> None:
    for slug in ("south", "no-such"):
        refused(program.post(CHAT, {"messages": MESSAGES, "organizationId": slug}), 404)


def test_a_full_queue_says_when_to_come_back(program: Caller, organization: Organization) -> None:
    with organization_scope(organization.pk):
        policy = QueuePolicy.objects.create(organization=organization, depth_limit=1)
    index.set_policy(policy)
    ask(program)
    before = rows()
    other = [{"role": "user", "content": "Another question, which waits for nobody's answer."}]
    assert int(program.post(CHAT, {"messages": other})["Retry-After"]) > 0
    refused(program.post(CHAT, {"messages": other, "wait": True}), 429)
    assert rows() == before


def test_the_tenth_costs_as_many_queries_as_the_second(program: Caller) -> None:
    ask(program)
    second = queries_of(lambda: ask(program))
    for _ in range(7):
        ask(program)
    assert queries_of(lambda: ask(program)) == second

import json
from collections.abc import Callable

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from pytest_django.fixtures import Settings

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.facade import Attempt
from queue_app.models import AIRequest, QueuePolicy, RequestContent
from queue_app.ordering import index
from queue_app.packing import unpack
from tests.api.support import MESSAGES, QUEUE, Caller, enqueue_body, queries_of, refused, rows


def accepted(response: HttpResponse) -> dict[str, object]:
    assert response.status_code == 202, response.content
    body: dict[str, object] = json.loads(response.content)
    return body


def test_request_with_an_api_key_is_accepted(program: Caller, organization: Organization) -> None:
    body = accepted(program.post(QUEUE, enqueue_body()))
    request_id = body.pop("requestId")
    assert body == {"status": "pending", "cached": False, "position": 1, "message": "The request is queued."}
    with organization_scope(organization.pk):
        request = AIRequest.objects.get()
        assert str(request.id) == request_id
        assert request.api_key is not None and request.user_ref == ""
        assert unpack(RequestContent.objects.get().call)["messages"] == MESSAGES
        assert Attempt.objects.get().request_id == request.id
    assert index.state().size == 1


def test_request_with_a_session_is_accepted(browser: Caller, organization: Organization) -> None:
    accepted(browser.post(QUEUE, enqueue_body()))
    with organization_scope(organization.pk):
        assert AIRequest.objects.get().user_ref == "operator"


def test_every_field_is_stored(program: Caller, organization: Organization) -> None:
    body = enqueue_body(
        organizationId="north",
        priority="critical",
        userId="u-7",
        conversationId="c-9",
        maxRetries=0,
        timeout=1_000,
        temperature=0.5,
        maxTokens=64,
        serviceTier="flex",
        tags=["billing", "ünï"],
        metadata={"a": {"b": [1, 2.5, None, True, "𝄞"]}},
        cache="bypass",
    )
    accepted(program.post(QUEUE, body))
    with organization_scope(organization.pk):
        request = AIRequest.objects.get()
        call = unpack(RequestContent.objects.get().call)
    kept = {
        "priority": request.get_priority_display().lower(),
        "userId": request.user_ref,
        "conversationId": request.conversation_id,
        "maxRetries": request.max_retries,
        "timeout": request.timeout_ms,
        "tags": request.tags,
        "metadata": request.metadata,
        "cache": request.cache_mode,
        "temperature": call["temperature"],
        "maxTokens": call["max_tokens"],
        "serviceTier": call["service_tier"],
        "messages": call["messages"],
    }
    assert kept == {name: body[name] for name in kept}


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": MESSAGES * 256},
        {"messages": [{"role": "user", "content": "ä" * 100_000}]},
        {"priority": "low", "maxRetries": 10, "timeout": 120_000, "temperature": 2, "maxTokens": 131_072},
        {"tags": ["t" * 64] * 20, "userId": "u" * 128, "conversationId": "c" * 128},
        {"metadata": {"n": 2**63 - 1, "m": -(2**63) + 1, "x": 1e308}},
        {"temperature": None, "maxTokens": None, "serviceTier": None},
        {"timeout": 5000.0, "maxRetries": 1e0},
        {"messages": [{"role": "user", "content": " "}]},
    ],
)
def test_values_at_the_limits_are_accepted(program: Caller, changes: dict[str, object]) -> None:
    accepted(program.post(QUEUE, enqueue_body(**changes)))


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_content_type_may_have_parameters_and_capitals(program: Caller, content_type: str) -> None:
    accepted(program.post(QUEUE, enqueue_body(), content_type=content_type))


def test_body_of_one_mebibyte_is_accepted(program: Caller) -> None:
    body = json.dumps(enqueue_body()).encode()
    accepted(program.post(QUEUE, body + b" " * (1024 * 1024 - len(body))))


@pytest.mark.usefixtures("nothing_stored")
def test_body_above_one_mebibyte_returns_413(program: Caller) -> None:
    body = json.dumps(enqueue_body()).encode()
    assert refused(program.post(QUEUE, body + b" " * (1024 * 1024 - len(body) + 1)), 413)["type"] == "too_large"


def test_position_counts_earlier_requests_of_the_organization(program: Caller, other_program: Caller) -> None:
    other_program.post(QUEUE, enqueue_body())
    assert accepted(program.post(QUEUE, enqueue_body(priority="low")))["position"] == 1
    assert accepted(program.post(QUEUE, enqueue_body(priority="low")))["position"] == 2
    assert accepted(program.post(QUEUE, enqueue_body(priority="high")))["position"] == 1
    assert accepted(program.post(QUEUE, enqueue_body(priority="normal")))["position"] == 2


def test_request_is_accepted_without_redis(program: Caller, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    accepted(program.post(QUEUE, enqueue_body()))
    assert rows()["AIRequest"] == 1


@pytest.mark.parametrize("role", [Role.VIEWER, Role.FINANCE])
def test_viewer_and_finance_cannot_enqueue(key_of: Callable[..., Caller], role: Role) -> None:
    program = key_of(role)
    before = rows()
    assert "queue:write" in refused(program.post(QUEUE, enqueue_body()), 403)["message"]
    assert rows() == before


def test_key_without_the_scope_is_rejected(key_of: Callable[..., Caller]) -> None:
    program = key_of(Role.OWNER, ["queue:read", "chat:write"])
    before = rows()
    refused(program.post(QUEUE, enqueue_body()), 403)
    assert rows() == before


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("slug", ["south", "no-such", ""])
def test_foreign_organization_is_not_found(program: Caller, other_organization: Organization, slug: str) -> None:
    error = refused(program.post(QUEUE, enqueue_body(organizationId=slug)), 404)
    assert (error["type"], error["param"]) == ("not_found", None)


def test_user_can_name_another_of_their_organizations(
    browser: Caller, operator: User, other_organization: Organization
) -> None:
    other_organization.memberships.create(user=operator, role=Role.OPERATOR)
    accepted(browser.post(QUEUE, enqueue_body(organizationId="south")))
    with organization_scope(other_organization.pk):
        assert AIRequest.objects.count() == 1


def test_role_in_the_named_organization_applies(
    browser: Caller, operator: User, other_organization: Organization
) -> None:
    other_organization.memberships.create(user=operator, role=Role.VIEWER)
    refused(browser.post(QUEUE, enqueue_body(organizationId="south")), 403)


def test_session_requires_a_csrf_token(operator: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    before = rows()
    assert refused(Caller(client).post(QUEUE, enqueue_body()), 403)["type"] == "csrf_failed"
    assert rows() == before
    client.cookies["csrftoken"] = token = "a" * 32
    accepted(Caller(client).post(QUEUE, enqueue_body(), **{"X-CSRFToken": token}))


def test_api_key_requires_no_csrf_token(program: Caller) -> None:
    program.client = Client(enforce_csrf_checks=True)
    accepted(program.post(QUEUE, enqueue_body()))


@pytest.mark.parametrize(
    ("provider", "model", "status", "param"),
    [
        ("nobody", "deepseek-chat", 400, "provider"),
        ("deepseek", "gpt-99", 422, "model"),
        ("deepseek", "gpt-4", 422, "model"),
        ("DeepSeek", "deepseek-chat", 400, "provider"),
        ("deepseek ", "deepseek-chat", 400, "provider"),
        ("deepseek", " deepseek-chat", 422, "model"),
    ],
)
@pytest.mark.usefixtures("nothing_stored")
def test_unknown_provider_or_model_is_named(
    program: Caller, provider: str, model: str, status: int, param: str
) -> None:
    refused(program.post(QUEUE, enqueue_body(provider=provider, model=model)), status, param)


def test_full_queue_returns_429_with_retry_after(program: Caller, organization: Organization) -> None:
    with organization_scope(organization.pk):
        policy = QueuePolicy.objects.create(organization=organization, depth_limit=2)
    index.set_policy(policy)
    for _ in range(2):
        accepted(program.post(QUEUE, enqueue_body()))
    before = rows()
    response = program.post(QUEUE, enqueue_body())
    assert refused(response, 429)["type"] == "queue_full"
    assert int(response["Retry-After"]) >= 1
    assert rows() == before


def test_full_queue_of_another_organization_does_not_matter(
    program: Caller, other_program: Caller, organization: Organization
) -> None:
    with organization_scope(organization.pk):
        policy = QueuePolicy.objects.create(organization=organization, depth_limit=1)
    index.set_policy(policy)
    accepted(program.post(QUEUE, enqueue_body()))
    refused(program.post(QUEUE, enqueue_body()), 429)
    accepted(other_program.post(QUEUE, enqueue_body()))


def test_enqueue_runs_the_same_number_of_queries_with_more_requests(program: Caller) -> None:
    def enqueue() -> None:
        accepted(program.post(QUEUE, enqueue_body()))

    enqueue()
    second = queries_of(enqueue)
    for _ in range(7):
        enqueue()
    # An empty cache adds the key, prices, and rules. PostgreSQL also takes a lock against new budgets.
    assert queries_of(enqueue) == second <= (12 if connection.vendor == "postgresql" else 11)

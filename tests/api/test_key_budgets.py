"""Budgets of API keys, from the first call to the rejection."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.money import dollars
from aiinfra.tenants import key_budget, keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import ApiKey, Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.models import Attempt, Budget, BudgetWindow, Hold
from queue_app.models import AIRequest, Status
from queue_app.ordering.claims import claim_next
from queue_app.processing.provider_call import process
from tests.api.support import CHAT, COST, MESSAGES, QUEUE, Caller, enqueue_body, new_key, refused
from tests.queue_app.conftest import ScriptedProvider, answer, provider, refusal  # noqa: F401 - fixture

Browser = Callable[[User], Client]

BOUND = 140 * (len(MESSAGES[0]["content"]) + len("user") + 16) + 280 * 100
COSTS = 20 * 140 + 10 * 280
BODIES = {QUEUE: enqueue_body(maxTokens=100, cache="bypass"), CHAT: {"messages": MESSAGES, "maxTokens": 100}}


@pytest.fixture
def key(organization: Organization) -> tuple[ApiKey, Caller]:
    """The API key with the budget."""
    made, text = keys.create_key(organization=organization, name="bot", role=Role.OPERATOR, actor="command:test")
    return made, Caller(key=text)


@pytest.fixture
def limit_key(organization: Organization, key: tuple[ApiKey, Caller]) -> Callable[[int], None]:
    """Sets a daily blocking budget of the key through the API, in nano-dollars."""

    def limit(nano: int) -> None:
        scope = {"type": "api_key", "value": key[0].key_id}
        body = {"action": "set-budget", "period": "daily", "scope": scope, "enforcement": "block"}
        finance = Caller(key=new_key(organization, Role.FINANCE))
        response = finance.post(COST, {**body, "limit": dollars(nano)})
        assert response.status_code == 200, response.content

    return limit


def used(organization: Organization) -> tuple[int, int]:
    """Spent and held amounts in the key's budget window."""
    with organization_scope(organization.pk):
        window = BudgetWindow.objects.get()
        return window.committed_nano, window.reserved_nano


@pytest.mark.parametrize("path", [QUEUE, CHAT])
def test_key_budget_rejects_only_calls_with_that_key(
    organization: Organization,
    key: tuple[ApiKey, Caller],
    limit_key: Callable[[int], None],
    program: Caller,
    browser: Caller,
    provider: ScriptedProvider,  # noqa: F811 - the fixture
    path: str,
) -> None:
    limit_key(BOUND)
    caller, body = key[1], BODIES[path]
    assert caller.post(path, body).status_code == 202
    assert used(organization) == (0, BOUND)
    assert refused(caller.post(path, {**body, "contextKey": "2"}), 429)["type"] == "budget_busy"
    for other in (program, browser):
        assert other.post(path, body).status_code == 202
    process_queue()
    assert used(organization) == (COSTS, 0)
    error = refused(caller.post(path, {**body, "contextKey": "3"}), 402)
    assert error["type"] == "budget_exceeded"
    assert dollars(BOUND - COSTS) in error["message"]
    with organization_scope(organization.pk):
        assert Hold.objects.count() == 1, "a refused call holds nothing"


def test_retried_call_checks_the_key_budget_again(
    organization: Organization,
    key: tuple[ApiKey, Caller],
    limit_key: Callable[[int], None],
    provider: ScriptedProvider,  # noqa: F811 - the fixture
) -> None:
    limit_key(BOUND + COSTS)
    provider.script = [refusal("TIMEOUT", may_be_billed=True), answer()]
    assert key[1].post(QUEUE, BODIES[QUEUE]).status_code == 202
    process_queue()
    assert used(organization) == (BOUND, 0)
    with organization_scope(organization.pk):
        request = AIRequest.objects.get()
        assert (request.status, request.error_code) == (Status.FAILED, "BUDGET_EXCEEDED")
        assert set(Attempt.objects.values_list("api_key_id", flat=True)) == {key[0].pk}


def process_queue() -> None:
    """Process all requests that can start now."""
    while claim := claim_next("worker"):
        process(claim)


@pytest.mark.parametrize("rotations", [1, 3])
@pytest.mark.usefixtures("provider")
def test_rotated_key_keeps_its_budget_and_spending(
    key: tuple[ApiKey, Caller], limit_key: Callable[[int], None], organization: Organization, rotations: int
) -> None:
    limit_key(BOUND)
    row, caller = key
    assert caller.post(QUEUE, BODIES[QUEUE]).status_code == 202
    process_queue()
    refused(caller.post(QUEUE, {**BODIES[QUEUE], "contextKey": "0"}), 402)
    for number in range(1, rotations + 1):
        with organization_scope(organization.pk):
            row, text = keys.rotate_key(key=row, overlap=timedelta(0), actor="command:test")
        refused(Caller(key=text).post(QUEUE, {**BODIES[QUEUE], "contextKey": str(number)}), 402)
    limit_key(BOUND + COSTS)
    assert Caller(key=text).post(QUEUE, {**BODIES[QUEUE], "contextKey": "fits"}).status_code == 202
    assert used(organization) == (COSTS, BOUND), "all rotated keys share one budget"


@pytest.mark.usefixtures("provider")
def test_key_can_be_created_with_a_budget(organization: Organization, admin: User, client_of: Browser) -> None:
    client = client_of(admin)
    fields = {"name": "bot", "role": "operator", "budget": dollars(BOUND), "budget_period": "daily"}
    assert client.post(reverse("key_create"), fields).status_code == 302
    with organization_scope(organization.pk):
        key, budget = ApiKey.objects.get(), Budget.objects.get()
    assert (budget.scope, budget.scope_value, budget.period) == ("api_key", str(key.pk), "daily")
    assert (budget.enforcement, budget.limit_nano) == ("block", BOUND)
    caller = Caller(key=client.get(reverse("keys")).context["text"])
    assert caller.post(QUEUE, BODIES[QUEUE]).status_code == 202
    process_queue()
    assert refused(caller.post(QUEUE, {**BODIES[QUEUE], "contextKey": "2"}), 402)["type"] == "budget_exceeded"


@pytest.mark.parametrize("amount", ["-1", "100000000", "abc", "0.0000000001"])
def test_key_with_an_invalid_budget_is_not_created(
    organization: Organization, admin: User, client_of: Browser, amount: str
) -> None:
    fields = {"name": "bot", "role": "operator", "budget": amount}
    assert client_of(admin).post(reverse("key_create"), fields).status_code == 422
    with organization_scope(organization.pk):
        assert not ApiKey.objects.exists() and not Budget.objects.exists()


def test_key_without_a_budget_has_none_and_zero_blocks_everything(
    organization: Organization, admin: User, client_of: Browser
) -> None:
    client = client_of(admin)
    for fields, budgets in (({}, []), ({"budget": "0"}, [("monthly", 0)])):
        assert client.post(reverse("key_create"), {"name": "bot", "role": "operator", **fields}).status_code == 302
        with organization_scope(organization.pk):
            assert list(Budget.objects.values_list("period", "limit_nano")) == budgets


def test_key_is_not_created_if_its_budget_fails(
    organization: Organization, admin: User, client_of: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no budget")

    monkeypatch.setattr(key_budget, "_setters", [fail])
    with pytest.raises(RuntimeError):
        client_of(admin).post(reverse("key_create"), {"name": "bot", "role": "operator", "budget": "1"})
    with organization_scope(organization.pk):
        assert not ApiKey.objects.exists()


def test_keys_page_links_to_a_new_budget_for_the_key(
    organization: Organization, admin: User, client_of: Browser
) -> None:
    made = keys.create_key(organization=organization, name="bot", role=Role.OPERATOR, actor="command:test")[0]
    client = client_of(admin)
    path = f"{reverse('budget_create')}?api_key={made.pk}"
    assert path in client.get(reverse("keys")).text
    page = client.get(path).text
    assert f'<option value="{made.pk}" selected>' in page
    assert client.get(f"{reverse('budget_create')}?api_key=x").status_code == 200

"""Which errors the official Python SDKs retry, according to the retry count in their request headers."""

from typing import Any
from uuid import uuid4

import anthropic
import openai
import pytest

from aiinfra.gateway import chat
from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import Budget
from queue_app.models import AIRequest
from tests.clients.conftest import full_room
from tests.clients.shapes import Shape

pytestmark = pytest.mark.django_db(transaction=True)
QUESTION: Any = [{"role": "user", "content": "How do I plan a garden?"}]
OTHER: Any = [{"role": "user", "content": "How do I sail?"}]
CHAT_MODEL, CLAUDE = "deepseek-chat", "claude-haiku-4-5"
RETRIES = 2


@pytest.fixture
def ask(openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic) -> Any:
    """Sends a call with one of the SDKs, which may retry it twice."""
    openai_sdk, anthropic_sdk = (each.with_options(max_retries=RETRIES) for each in (openai_client, anthropic_client))

    def send(sdk: str, messages: Any = QUESTION, **headers: str) -> Any:
        if sdk == "openai":
            return openai_sdk.chat.completions.create(model=CHAT_MODEL, messages=messages, extra_headers=headers)
        return anthropic_sdk.messages.create(model=CLAUDE, max_tokens=50, messages=messages, extra_headers=headers)

    return send


def retries_of(error: openai.APIStatusError | anthropic.APIStatusError) -> int:
    return int(error.response.request.headers["x-stainless-retry-count"])


SDKS = pytest.mark.parametrize("sdk", ["openai", "anthropic"])
ERRORS = (openai.APIStatusError, anthropic.APIStatusError)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_invalid_key_is_not_retried_by_claude_code(product: str, path: str) -> None:
    refused = Shape("no client", path, {}).send(product, "aik_wrong")
    assert (refused.status_code, refused.headers["x-should-retry"]) == (401, "false")


@SDKS
def test_exhausted_budget_returns_402_and_is_not_retried(ask: Any, sdk: str, organization: Organization) -> None:
    with organization_scope(organization.pk):
        Budget.objects.create(organization=organization, period="monthly", limit_nano=1, enforcement="block")
    with pytest.raises(ERRORS) as spent:
        ask(sdk)
    assert (spent.value.status_code, retries_of(spent.value)) == (402, 0)


@SDKS
def test_reusing_key_with_different_body_returns_409_and_is_not_retried(ask: Any, sdk: str) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    assert ask(sdk, **key) == ask(sdk, **key)
    with pytest.raises(ERRORS) as conflict:
        ask(sdk, OTHER, **key)
    assert (conflict.value.status_code, retries_of(conflict.value)) == (409, 0)
    with system_scope():
        assert AIRequest.objects.count() == 1


@SDKS
def test_full_server_returns_429_and_is_retried_after_its_retry_after(
    ask: Any, sdk: str, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "waiting_room", full_room(organization))
    monkeypatch.setattr(chat, "RETRY_AFTER_FULL_S", "0.01")
    with pytest.raises(ERRORS) as full:
        ask(sdk)
    assert (full.value.status_code, retries_of(full.value)) == (429, RETRIES)


@SDKS
def test_overloaded_server_returns_503_or_529_and_is_retried(
    ask: Any, sdk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "waiting_room", WaitingRoom(0))
    for module in (openai, anthropic):
        monkeypatch.setattr(module._base_client, "INITIAL_RETRY_DELAY", 0.01)
    with pytest.raises(ERRORS) as overloaded:
        ask(sdk)
    status = 529 if sdk == "anthropic" else 503
    assert (overloaded.value.status_code, retries_of(overloaded.value)) == (status, RETRIES)

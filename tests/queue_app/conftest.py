"""Prices, an empty Redis, and a provider with scripted replies."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from aiinfra.providers.base import ChatAnswer, ChatCall, ErrorCode, ProviderAttempt, ProviderError, TokenUsage
from aiinfra.tenants.models import Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.fallback.manage import use_defaults
from cost_app.prices import lookup as pricebook
from queue_app.models import AIRequest
from queue_app.ordering.claims import Claim, claim_next
from queue_app.processing import provider_call
from queue_app.submission.intake import accept
from queue_app.submission.submission import Submission
from tests.queue_app.direct_calls import start  # noqa: F401 - a fixture
from tests.queue_app.flights import send  # noqa: F401 - a fixture

USAGE = TokenUsage(input=20, output=10)
Script = ChatAnswer | Exception | Callable[[ProviderAttempt], ChatAnswer]


class ScriptedProvider:
    """Replies to each call with the next item of its script and repeats the last one. Records its calls."""

    def __init__(self) -> None:
        self.script: list[Script] = [answer()]
        self.calls: list[tuple[ProviderAttempt, ChatCall]] = []

    def chat(self, attempt: ProviderAttempt, call: ChatCall) -> ChatAnswer:
        self.calls.append((attempt, call))
        reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(reply, Exception):
            raise reply
        return reply(attempt) if callable(reply) else reply


def answer(
    content: str = "Hello.", usage: TokenUsage | None = USAGE, raw_usage: dict[str, Any] | None = None
) -> ChatAnswer:
    raw = {"prompt_tokens": 20} if raw_usage is None else raw_usage
    return ChatAnswer(content=content, finish_reason="stop", usage=usage, raw_usage=raw)


def refusal(code: str, *, may_be_billed: bool = False, retry_after_s: float | None = None) -> ProviderError:
    return ProviderError(ErrorCode(code), f"it said {code}", may_be_billed=may_be_billed, retry_after_s=retry_after_s)


@pytest.fixture(autouse=True)
def _no_provider_keys(settings: Settings) -> None:
    settings.PROVIDER_API_KEYS = {"openai": "", "deepseek": "", "anthropic": ""}


@pytest.fixture
def queue(db: None, redis_url: str) -> None:
    """Prices, which an earlier transactional test may have deleted, and an empty Redis."""
    pricebook.add_shipped_prices()


@pytest.fixture
def scoped(organization: Organization) -> Iterator[Organization]:
    """Runs the test in this organization's scope."""
    with organization_scope(organization.pk):
        yield organization


@pytest.fixture
def browser(operator: User, client_of: Callable[[User], Client]) -> Client:
    """The operator's browser."""
    return client_of(operator)


@pytest.fixture
def no_fallback(organization: Organization) -> None:
    """Turns off default fallbacks: a failed request waits for its own model."""
    with organization_scope(organization.pk):
        use_defaults(organization_id=organization.pk, enabled=False, actor="test")


@pytest.fixture
def submit(queue: None, organization: Organization) -> Callable[..., AIRequest]:
    """Accepts requests. Arguments are fields of `Submission`."""

    def make(**fields: object) -> AIRequest:
        defaults = {
            "organization_id": organization.pk,
            "provider": "deepseek",
            "model": "deepseek-chat",
            "messages": [{"role": "user", "content": "Hi"}],
        }
        submission = Submission(**{**defaults, **fields})  # type: ignore[arg-type]
        with organization_scope(submission.organization_id):
            return accept(submission)

    return make


@pytest.fixture
def claimed(submit: Callable[..., AIRequest]) -> Callable[..., Claim]:
    """Accepts a request and claims it."""

    def make(**fields: object) -> Claim:
        request = submit(**fields)
        claim = claim_next("worker")
        assert claim is not None and claim.request.id == request.id
        return claim

    return make


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> ScriptedProvider:
    """The provider that `process` calls. Calls keep the test's database connection open."""
    scripted = ScriptedProvider()
    monkeypatch.setattr(provider_call, "close_old_connections", lambda: None)
    monkeypatch.setattr(provider_call, "adapter_for", lambda _name: scripted)
    return scripted

"""Requests as they are sent to servers other than the sandbox."""

import uuid
from dataclasses import replace

import pytest
from pytest_django.fixtures import Settings

from aiinfra.providers.base import ChatCall, ErrorCode, ProviderAttempt, ProviderError
from aiinfra.providers.registry import adapter_for
from tests.support.tcp import OK, Recorder, server

NO_KEYS = {"openai": "", "deepseek": "", "anthropic": ""}
CALL = ChatCall(messages=[{"role": "user", "content": "hi"}], max_tokens=77, timeout_s=10, temperature=1.5)


def request_of(provider: str, call: ChatCall = CALL) -> tuple[ProviderAttempt, str]:
    attempt = ProviderAttempt(id=uuid.uuid4(), organization_id=1, provider=provider, model="m")
    recorder = Recorder(OK)
    with server(recorder) as port, pytest.MonkeyPatch.context() as patch:
        url = f"http://127.0.0.1:{port}/v1"
        patch.setattr("django.conf.settings.PROVIDER_API_KEYS", {**NO_KEYS, "openai": "k1", "anthropic": "k2"})
        patch.setattr("django.conf.settings.PROVIDER_BASE_URLS", {**NO_KEYS, "openai": url, "anthropic": url})
        patch.setattr("django.conf.settings.COMPATIBLE_PROVIDERS", {"local": url})
        with pytest.raises(ProviderError) as caught:
            adapter_for(provider).chat(attempt, call)
    assert (caught.value.code, caught.value.may_be_billed) == (ErrorCode.UNREADABLE_ANSWER, True)
    return attempt, recorder.request


@pytest.mark.parametrize("provider", ["openai", "local", "anthropic"])
def test_every_call_has_the_attempt_id_and_the_token_limit(provider: str) -> None:
    attempt, request = request_of(provider)
    headers = request.lower()
    assert f"x-attempt-id: {attempt.id}" in headers
    assert f"idempotency-key: {attempt.id}" in headers
    assert '"max_tokens":77' in request
    assert "max_completion_tokens" not in request


@pytest.mark.parametrize("provider", ["openai", "local", "anthropic"])
def test_nothing_is_sent_about_the_host(provider: str) -> None:
    assert "x-stainless" not in request_of(provider)[1].lower()


@pytest.mark.parametrize(
    ("provider", "tier", "sent"),
    [
        *(("openai", tier, f'"service_tier":"{tier}"') for tier in ("auto", "flex", "priority")),
        ("openai", "standard", '"service_tier":"default"'),
        ("local", "flex", '"service_tier":"flex"'),
        ("anthropic", "auto", '"service_tier":"auto"'),
        ("anthropic", "priority", '"service_tier":"auto"'),
        ("anthropic", "standard", '"service_tier":"standard_only"'),
    ],
)
def test_requested_tier_is_sent_in_the_providers_terms(provider: str, tier: str, sent: str) -> None:
    assert sent in request_of(provider, replace(CALL, service_tier=tier))[1]


def test_no_tier_is_sent_when_none_is_requested_or_supported() -> None:
    for provider in ("openai", "local", "anthropic"):
        assert "service_tier" not in request_of(provider)[1]
    assert "service_tier" not in request_of("anthropic", replace(CALL, service_tier="flex"))[1]


def test_openai_organization_is_sent_only_to_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ours")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-ours")
    assert "org-ours" in request_of("openai")[1]
    _, request = request_of("local")
    assert "ours" not in request


def test_temperature_is_not_sent_to_anthropic() -> None:
    assert "temperature" not in request_of("anthropic")[1]
    assert '"temperature":1.5' in request_of("openai")[1]


def test_openai_itself_gets_max_completion_tokens(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PROVIDER_API_KEYS = {**NO_KEYS, "openai": "sk-1"}
    settings.PROVIDER_BASE_URLS = NO_KEYS
    sent: list[bytes] = []

    def refuse(_transport: object, request: object) -> None:
        sent.append(request.content)  # type: ignore[attr-defined]
        raise ConnectionError

    monkeypatch.setattr("aiinfra.egress.EgressTransport.handle_request", refuse)
    attempt = ProviderAttempt(id=uuid.uuid4(), organization_id=1, provider="openai", model="m")
    with pytest.raises(ConnectionError):
        adapter_for("openai").chat(attempt, CALL)
    assert b'"max_completion_tokens":77' in sent[0]

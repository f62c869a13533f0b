"""Rate limits of the API."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from pytest_django.fixtures import Settings

from aiinfra.rate_limits import Rate, Taken, take
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.change_key_limits import change_limits
from aiinfra.tenants.key_limits import KeyLimits, networks_of
from aiinfra.tenants.models import AuditEvent, Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cost_app.models import Budget
from queue_app.models import AIRequest
from queue_app.submission import key_rates
from tests.api.support import QUEUE, Caller, enqueue_body, refused
from tests.support.buckets import no_refill  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_refill")]

STATS = f"{QUEUE}?action=stats"
BAD_KEY = "aik_" + "x" * 40


@pytest.fixture
def limited(organization: Organization) -> Callable[..., Caller]:
    """Creates a client whose API key has its own limits."""

    def make(**limits: Any) -> Caller:
        _, text = keys.create_key(
            organization=organization, name="bot", role=Role.OWNER, limits=KeyLimits(**limits), actor="command:test"
        )
        return Caller(key=text)

    return make


def test_a_key_over_its_limit_gets_429_with_rate_limit_headers(limited: Callable[..., Caller]) -> None:
    caller = limited(requests_per_minute=2)
    first = caller.get(STATS)
    assert first.status_code == 200
    assert (first["RateLimit-Limit"], first["RateLimit-Remaining"], first["RateLimit-Reset"]) == ("2", "1", "30")
    assert first["x-ratelimit-limit-requests"] == "2"
    assert first["x-ratelimit-remaining-requests"] == "1"
    assert first["x-ratelimit-reset-requests"] == "30s"
    caller.get(STATS)
    third = caller.get(STATS)
    error = refused(third, 429)
    assert error["type"] == "rate_limited"
    assert "This API key can send 2 requests per minute" in error["message"]
    assert 1 <= int(third["Retry-After"]) <= 30
    assert third["RateLimit-Remaining"] == "0"


def test_limit_of_one_request_is_named_in_the_singular(limited: Callable[..., Caller]) -> None:
    caller = limited(requests_per_minute=1)
    caller.get(STATS)
    assert refused(caller.get(STATS), 429)["message"].startswith("This API key can send 1 request per minute.")


def test_every_response_has_rate_limit_headers_including_errors(program: Caller) -> None:
    assert "RateLimit-Limit" in program.get(f"{QUEUE}?action=nonsense").headers
    assert "RateLimit-Limit" in program.post(QUEUE, enqueue_body()).headers


@pytest.mark.parametrize(
    ("setting", "whose"),
    [
        ("REQUESTS_PER_MINUTE_KEY", "This API key"),
        ("REQUESTS_PER_MINUTE_ORGANIZATION", "Your organization"),
        ("REQUESTS_PER_MINUTE_ADDRESS", "Your address"),
    ],
)
def test_key_organization_and_address_have_limits(
    program: Caller, settings: Settings, setting: str, whose: str
) -> None:
    setattr(settings, setting, 1)
    assert program.get(STATS).status_code == 200
    assert whose in refused(program.get(STATS), 429)["message"]


def test_an_organization_s_limit_does_not_affect_other_organizations(
    program: Caller, other_program: Caller, settings: Settings
) -> None:
    settings.REQUESTS_PER_MINUTE_ORGANIZATION = 1
    program.get(STATS)
    refused(program.get(STATS), 429)
    assert other_program.get(STATS).status_code == 200


def test_session_requests_are_limited(browser: Caller, settings: Settings) -> None:
    settings.REQUESTS_PER_MINUTE_ADDRESS = 1
    assert browser.get(STATS).status_code == 200
    refused(browser.get(STATS), 429)


def test_failed_authentication_is_limited_without_blocking_valid_keys_from_the_address(
    program: Caller, settings: Settings
) -> None:
    settings.UNAUTHENTICATED_PER_MINUTE = 5
    wrong, none = Caller(key=BAD_KEY), Caller()
    assert [wrong.get(STATS).status_code for _ in range(6)] == [401] * 5 + [429]
    response = none.get(STATS)
    refused(response, 429)
    assert int(response["Retry-After"]) >= 1
    assert program.get(STATS).status_code == 200


def test_limits_apply_per_process_while_redis_is_down(program: Caller, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    settings.UNAUTHENTICATED_PER_MINUTE = 3
    wrong = Caller(key=BAD_KEY)
    assert [wrong.get(STATS).status_code for _ in range(4)] == [401] * 3 + [429]


@pytest.mark.parametrize("name", ["KEY", "ORGANIZATION", "ADDRESS"])
def test_concurrent_requests_are_limited_until_the_response_is_sent(
    program: Caller, settings: Settings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    setattr(settings, f"CONCURRENT_REQUESTS_{name}", 1)
    inner: list[HttpResponse] = []
    _while_one_is_in_progress(monkeypatch, lambda: inner.append(program.get(STATS)))
    assert program.get(STATS).status_code == 200
    assert "1 request at a time" in refused(inner[0], 429)["message"]
    assert inner[0]["Retry-After"] == "1"
    monkeypatch.undo()
    assert program.get(STATS).status_code == 200


def test_a_key_s_concurrency_limit_applies_across_processes(
    limited: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = limited(concurrent_requests=1)
    inner: list[HttpResponse] = []
    _while_one_is_in_progress(monkeypatch, lambda: inner.append(caller.get(STATS)))
    assert caller.get(STATS).status_code == 200
    refused(inner[0], 429)
    monkeypatch.undo()
    assert caller.get(STATS).status_code == 200


def _while_one_is_in_progress(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    from aiinfra import api

    original, is_inner = api.authorize, [False]

    def authorize(*arguments: Any) -> None:
        if not is_inner[0]:
            is_inner[0] = True
            act()
        original(*arguments)

    monkeypatch.setattr(api, "authorize", authorize)


def test_tokens_per_minute_count_the_prompt_and_the_maximum_output(limited: Callable[..., Caller]) -> None:
    caller = limited(tokens_per_minute=1_000)
    response = caller.post(QUEUE, enqueue_body(maxTokens=600))
    assert response.status_code == 202
    assert response["x-ratelimit-limit-tokens"] == "1000"
    refusal = caller.post(QUEUE, enqueue_body(maxTokens=600))
    error = refused(refusal, 429)
    assert error["type"] == "rate_limited"
    assert "1,000 tokens per minute" in error["message"]
    assert int(refusal["Retry-After"]) >= 1
    assert int(refusal["x-ratelimit-remaining-tokens"]) < 400
    with system_scope():
        assert AIRequest.objects.count() == 1


def test_dollars_per_minute_count_the_maximum_cost(limited: Callable[..., Caller]) -> None:
    caller = limited(nano_per_minute=1_500_000)
    statuses = [caller.post(QUEUE, enqueue_body(maxTokens=4_000)).status_code for _ in range(3)]
    assert statuses[0] == 202
    assert statuses[-1] == 429
    with system_scope():
        assert AIRequest.objects.count() == statuses.count(202)


def test_a_request_refused_by_a_budget_does_not_count(
    limited: Callable[..., Caller], organization: Organization
) -> None:
    caller = limited(tokens_per_minute=1_000, nano_per_minute=1_500_000)
    with organization_scope(organization.pk):
        budget = Budget.objects.create(organization=organization, period="daily", limit_nano=0, enforcement="block")
    assert [caller.post(QUEUE, enqueue_body(maxTokens=900)).status_code for _ in range(3)] == [402] * 3
    with organization_scope(organization.pk):
        Budget.objects.filter(pk=budget.pk).update(is_active=False)
    assert caller.post(QUEUE, enqueue_body(maxTokens=900)).status_code == 202


def test_rate_limits_are_taken_outside_of_transactions(
    limited: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has one writer, so no transaction may be open during a Redis call, which can hang for half a second."""
    before, depths = len(connection.savepoint_ids), []

    def noted(rates: Sequence[Rate]) -> Taken:
        depths.append(len(connection.savepoint_ids))
        return take(rates)

    monkeypatch.setattr(key_rates, "take", noted)
    assert limited(tokens_per_minute=10_000).post(QUEUE, enqueue_body()).status_code == 202
    assert depths == [before]


@pytest.mark.parametrize(
    ("networks", "status"), [(["127.0.0.0/8"], 200), (["127.0.0.1"], 200), (["10.0.0.0/8", "::1"], 403)]
)
def test_a_key_works_only_from_its_allowed_addresses(
    limited: Callable[..., Caller], networks: list[str], status: int
) -> None:
    response = limited(networks=networks_of(networks)).get(STATS)
    assert response.status_code == status
    if status == 403:
        assert refused(response, 403)["type"] == "address_not_allowed"


def test_a_forged_header_does_not_get_around_the_address_list(
    limited: Callable[..., Caller], settings: Settings
) -> None:
    caller = limited(networks=networks_of(["10.1.2.3"]))
    caller.headers["X-Forwarded-For"] = "10.1.2.3"
    refused(caller.get(STATS), 403)
    settings.BEHIND_PROXY, settings.TRUSTED_PROXIES = True, networks_of(["192.0.2.1"])
    refused(caller.get(STATS), 403)
    settings.TRUSTED_PROXIES = networks_of(["127.0.0.1", "10.9.9.9"])
    assert caller.get(STATS).status_code == 200
    caller.headers["X-Forwarded-For"] = "10.1.2.3, 203.0.113.9, 10.9.9.9"
    refused(caller.get(STATS), 403)


def test_a_change_of_limits_is_audited_with_old_and_new_values(organization: Organization) -> None:
    key, _ = keys.create_key(organization=organization, name="bot", role=Role.OWNER, actor="command:test")
    after = KeyLimits(requests_per_minute=5, networks=networks_of(["10.0.0.0/8"]))
    with organization_scope(organization.pk):
        assert change_limits(key=key, limits=after, actor="user:test")
        assert not change_limits(key=key, limits=after, actor="user:test")
        event = AuditEvent.objects.get(verb="api_key.limits_changed")
    assert event.changes == {"requests_per_minute": [None, 5], "allowed_networks": [[], ["10.0.0.0/8"]]}


def test_a_rate_limited_authentication_error_has_the_standard_format(settings: Settings) -> None:
    settings.UNAUTHENTICATED_PER_MINUTE = 1
    Caller().get(STATS)
    error = json.loads(Caller().get(STATS).content)["error"]
    assert set(error) == {"type", "message", "param", "requestId"}


def test_guessing_invitation_links_is_limited(client: Client, settings: Settings) -> None:
    settings.UNAUTHENTICATED_PER_MINUTE = 3
    statuses = [client.get(f"/invitations/{'x' * 40}{number}/").status_code for number in range(5)]
    assert statuses == [404, 404, 404, 429, 429]

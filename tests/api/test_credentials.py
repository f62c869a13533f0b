"""Checks of every JSON API endpoint before it reads the body: credentials, methods, parameters, and hosts."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from aiinfra import timed_cache
from aiinfra.bodies import MIB
from aiinfra.tenants import key_text
from aiinfra.tenants.models import ApiKey, Organization, User
from aiinfra.tenants.scope import system_scope
from queue_app import api as queue_api
from tests.api.support import CHAT, COMPLETIONS, HEALTH, MESSAGES_DOOR, QUEUE, Caller, enqueue_body, error_of, refused

pytestmark = pytest.mark.usefixtures("nothing_stored")

ADDRESSES = {QUEUE: ["GET", "POST"], CHAT: ["POST"], HEALTH: ["GET"]}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_missing_credential_returns_401(address: str) -> None:
    for method in ADDRESSES[address]:
        response = Caller().method(method, address)
        assert refused(response, 401)["type"] == "unauthorized"
        assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("address", ADDRESSES)
def test_invalid_credential_returns_401(address: str, organization: Organization, browser: Caller) -> None:
    good = browser.client
    text = "aik_" + "0" * 8 + "_" + "0" * 32
    wrong = ["x", "Bearer", "Bearer ", "Bearer x", "Basic eDp5", "Bearer é", "Bearer a\0b", f"Bearer {text}_000000"]
    wrong += [f"Bearer {text}_{key_text.checksum(text)}", "bearer " + "x" * 10_000]
    for header in wrong:
        method = ADDRESSES[address][0]
        refused(good.generic(method, address, headers={"Authorization": header}), 401)


@pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
def test_expired_or_revoked_key_returns_401(program: Caller, column: str) -> None:
    assert program.get(QUEUE, action="stats").status_code == 200
    with system_scope():
        ApiKey.objects.update(**{column: timezone.now() - timedelta(seconds=1)})
    timed_cache.clear_all()
    refused(program.get(QUEUE, action="stats"), 401)


def test_user_without_an_organization_gets_404(client_of: Callable[[User], Client]) -> None:
    nobody = User.objects.create_user("nobody")
    refused(Caller(client_of(nobody)).get(QUEUE, action="stats"), 404)


@pytest.mark.parametrize("address", ADDRESSES)
def test_other_methods_return_405(program: Caller, browser: Caller, address: str) -> None:
    known = {*ADDRESSES[address], *(["HEAD"] if "GET" in ADDRESSES[address] else [])}
    for method in sorted(set(METHODS) - known):
        for caller in (program, browser):
            response = caller.method(method, address)
            assert response.status_code == 405, method
            assert set(response["Allow"].split(", ")) == known
            assert method == "HEAD" or error_of(response)["type"] == "method_not_allowed"


def test_head_returns_no_body(program: Caller) -> None:
    response = program.client.head(QUEUE, {"action": "stats"}, headers=program.headers)
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("query", [{}, {"action": ""}, {"action": "no"}, {"action": "cancel"}, {"action": "a\0b"}])
def test_unknown_action_is_named(program: Caller, query: dict[str, str]) -> None:
    refused(program.get(QUEUE, **query), 400, "action")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"action": "stats", "x": "1"}, "x"),
        ({"action": "stats", "requestId": "1"}, "requestId"),
        ({"action": "status"}, "requestId"),
        ({"action": "status", "requestId": "a\0b"}, "requestId"),
        ({"action": "list", "status": ""}, "status"),
        ({"action": "list", "status": "PENDING"}, "status"),
        ({"action": "list", "priority": "5"}, "priority"),
        ({"action": "list", "limit": "5"}, "limit"),
        ({"action": "stats", "organizationId": "a\0b"}, "organizationId"),
        ({"action": "stats", "a\0b": "1"}, "a\0b"),
    ],
)
def test_invalid_parameter_is_named(program: Caller, query: dict[str, str], param: str) -> None:
    refused(program.get(QUEUE, **query), 400, param)


def test_too_many_parameters_return_400(program: Caller) -> None:
    refused(program.get(QUEUE, action="stats", **{f"x{number}": "1" for number in range(1_100)}), 400)


def test_invalid_utf_8_is_not_a_server_error(program: Caller) -> None:
    for tail in ("%ff", "%ed%a0%80", "%00", "%", "%zz"):
        refused(program.client.get(f"{QUEUE}?action=stats&x={tail}", headers=program.headers), 400)
        refused(
            program.client.get(f"{QUEUE}?action=status&requestId={tail}", headers=program.headers),
            (404, 400)[tail == "%00"],
        )


@pytest.mark.parametrize("path", ["/api/no", "/api/ai/queue/", "/api/ai/queue/x", "/api/"])
def test_unknown_api_url_returns_404_as_json(program: Caller, path: str) -> None:
    for caller in (program, Caller()):
        assert refused(caller.get(path), 404)["type"] == "not_found"
        refused(caller.post(path, {}), 404)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/no", "invalid_request_error"),
        ("/v1/chat", "invalid_request_error"),
        ("/v1/messages/no", "not_found_error"),
    ],
)
def test_unknown_v1_url_returns_404_in_the_vendor_s_format(program: Caller, path: str, kind: str) -> None:
    for caller in (program, Caller()):
        for response in (caller.get(path), caller.post(path, {})):
            assert refused(response, 404)["type"] == kind


@pytest.mark.parametrize("path", ["/v1/models/nope", "/v1/models", "/v1/files?limit=0", "/v1/organizations/x"])
def test_client_of_anthropic_gets_its_errors_at_urls_that_both_vendors_have(program: Caller, path: str) -> None:
    caller = Caller(key="nope") if path == "/v1/models" else program
    response = caller.client.get(path, headers={**caller.headers, "anthropic-version": "2023-06-01"})
    body = json.loads(response.content)
    assert (response.status_code, body["type"]) in {(400, "error"), (401, "error"), (404, "error")}
    assert body["request_id"] == response["request-id"]


@pytest.mark.parametrize("path", [COMPLETIONS, MESSAGES_DOOR])
def test_v1_errors_raised_before_the_endpoint_have_the_vendor_s_format(program: Caller, path: str) -> None:
    refused(program.client.get(path, headers={**program.headers, "Host": "evil.example"}), 400)
    refused(program.post(path, b" " * (settings.CALL_MIB_MAX * MIB + 1)), 413)


def test_unknown_page_renders_a_404_page() -> None:
    response = Caller().get("/no-such-page/")
    assert (response.status_code, response["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_unknown_host_returns_400_as_json(program: Caller) -> None:
    refused(program.client.get(QUEUE, headers={**program.headers, "Host": "evil.example"}), 400)


def test_internal_error_reveals_no_details(program: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    _break(monkeypatch, RuntimeError("secret detail"))
    response = program.get(QUEUE, action="stats")
    assert refused(response, 500)["type"] == "internal_error"
    assert b"secret" not in response.content


def test_unavailable_database_returns_503(program: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    _break(monkeypatch, OperationalError("no route to 10.0.0.7"))
    response = program.get(QUEUE, action="stats")
    assert refused(response, 503)["type"] == "unavailable"
    assert int(response["Retry-After"]) > 0
    assert b"10.0.0.7" not in response.content


def _break(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    def fail() -> None:
        raise problem

    monkeypatch.setattr(queue_api, "queue_stats", fail)


def test_unreadable_session_returns_503(browser: Caller) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("away")

    with connection.execute_wrapper(refuse):
        response = browser.get(QUEUE, action="stats")
    refused(response, 503)


@pytest.mark.parametrize("offered", ["my-request-1", "x", "a b c d e f g", "é" * 10])
def test_valid_request_id_header_is_kept(program: Caller, offered: str) -> None:
    program.headers["X-Request-Id"] = offered
    response = program.get(QUEUE)
    assert (error_of(response)["requestId"] == offered) is (offered == "my-request-1")


def test_foreign_organization_looks_like_an_unknown_one(program: Caller, other_program: Caller) -> None:
    def body_of(slug: str) -> object:
        error = error_of(program.get(QUEUE, action="stats", organizationId=slug))
        return {**error, "requestId": None}

    assert body_of("south") == body_of("no-such")


def test_api_key_takes_precedence_over_a_session(browser: Caller, other_program: Caller) -> None:
    browser.headers = other_program.headers
    assert browser.get(QUEUE, action="stats", organizationId="south").status_code == 200
    refused(browser.get(QUEUE, action="stats", organizationId="north"), 404)


def test_csrf_is_checked_for_every_session_write(operator: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    client.cookies["csrftoken"] = "a" * 32
    for address in (QUEUE, CHAT):
        for token in ({}, {"X-CSRFToken": "b" * 32}, {"X-CSRFToken": ""}):
            assert refused(Caller(client).post(address, enqueue_body(), **token), 403)["type"] == "csrf_failed"
    assert Caller(client).get(QUEUE, action="stats").status_code == 200

"""Calls with an API key skip the session middleware; calls with a cookie do not. Both get the same response."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.test import Client
from pytest_django.fixtures import Settings

from aiinfra.bodies import BODY_BYTES_MAX
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.security_log.models import SecurityEvent
from tests.api.support import CHAT, EVENTS, QUEUE, new_key

CALLS: dict[str, dict[str, Any]] = {
    "a read": {"method": "GET", "path": f"{QUEUE}?action=stats"},
    "a head": {"method": "HEAD", "path": f"{QUEUE}?action=stats"},
    "an event stream": {"method": "GET", "path": EVENTS},
    "a wrong key": {"method": "GET", "path": QUEUE, "key": "aik_x"},
    "a missing scope": {"method": "POST", "path": QUEUE, "data": b'{"action": "cleanup"}'},
    "an unknown organization": {"method": "GET", "path": f"{QUEUE}?action=stats&organizationId=nobody"},
    "an unknown request": {"method": "GET", "path": f"{QUEUE}?action=status&requestId=x"},
    "an unknown action": {"method": "GET", "path": f"{QUEUE}?action=x"},
    "an unknown URL": {"method": "GET", "path": "/api/ai/nothing"},
    "another slash": {"method": "GET", "path": f"{QUEUE}/"},
    "a wrong method": {"method": "DELETE", "path": QUEUE},
    "options": {"method": "OPTIONS", "path": QUEUE},
    "no JSON": {"method": "POST", "path": CHAT, "data": b"{"},
    "a form": {"method": "POST", "path": CHAT, "data": b"a=b", "content_type": "application/x-www-form-urlencoded"},
    "a large body": {"method": "POST", "path": CHAT, "data": b" " * (BODY_BYTES_MAX + 1)},
    "a wrong host": {"method": "GET", "path": QUEUE, "HTTP_HOST": "elsewhere.example"},
    "a malformed host": {"method": "GET", "path": QUEUE, "HTTP_HOST": "a b"},
    "a sane request ID": {"method": "GET", "path": f"{QUEUE}?action=x", "HTTP_X_REQUEST_ID": "my-request-1"},
    "an unsafe request ID": {"method": "GET", "path": f"{QUEUE}?action=x", "HTTP_X_REQUEST_ID": "\n"},
}
OF_ONE_REQUEST = {"X-Request-Id", "Request-Id", "RateLimit-Remaining", "x-ratelimit-remaining-requests"}
TIMES = {"RateLimit-Reset", "x-ratelimit-reset-requests"}


@pytest.fixture
def send(organization: Organization, settings: Settings) -> Callable[..., Any]:
    """Send one of the calls; a cookie sends it through the session middleware."""
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.SECURE_SSL_REDIRECT = False
    good = new_key(organization, Role.OPERATOR)

    def call(name: str, **more: Any) -> Any:
        client = Client()
        client.raise_request_exception = False
        options = {"content_type": "application/json", "key": good, **CALLS[name], **more}
        headers = {"HTTP_AUTHORIZATION": f"Bearer {options.pop('key')}"}
        return client.generic(options.pop("method"), options.pop("path"), **{**headers, **options})

    return call


def comparable(response: HttpResponseBase) -> tuple[int, dict[str, str], Any]:
    """Status, headers, and error, without values that differ between equal requests."""
    headers = {name: value for name, value in response.items() if name not in OF_ONE_REQUEST | TIMES}
    kept = {name: str(name in response) for name in OF_ONE_REQUEST | TIMES}
    if response.streaming or response.status_code < 400 or response["Content-Type"] != "application/json":
        return response.status_code, {**headers, **kept}, None
    assert isinstance(response, HttpResponse)
    error = json.loads(response.content)["error"] if response.content else {}
    return response.status_code, {**headers, **kept, "Content-Length": ""}, {**error, "requestId": None}


@pytest.mark.parametrize("name", CALLS)
def test_both_paths_return_the_same_status_headers_and_error(name: str, send: Callable[..., Any]) -> None:
    direct, with_session = send(name), send(name, HTTP_COOKIE="theme=dark")
    assert comparable(direct) == comparable(with_session)
    for response in (direct, with_session):
        response.close()


@pytest.mark.parametrize(("cookie", "is_direct"), [({}, True), ({"HTTP_COOKIE": "theme=dark"}, False)])
def test_only_calls_without_a_cookie_skip_the_session(
    send: Callable[..., Any], cookie: dict[str, str], is_direct: bool
) -> None:
    request = send("a read", **cookie).wsgi_request
    assert hasattr(request, "session") is not is_direct
    assert hasattr(request, "principal") is not is_direct


def test_security_log_records_refused_keys_and_scopes_with_the_address(send: Callable[..., Any]) -> None:
    before = SecurityEvent.objects.count()
    send("a wrong key", REMOTE_ADDR="192.0.2.7")
    send("a missing scope", REMOTE_ADDR="192.0.2.7")
    newest = SecurityEvent.objects.order_by("-sequence")[: SecurityEvent.objects.count() - before]
    assert {(event.event, event.ip_address) for event in newest} == {
        ("key.refused", "192.0.2.7"),
        ("permission.refused", "192.0.2.7"),
    }


def test_failure_outside_the_endpoint_returns_a_json_error(
    send: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("aiinfra.tenants.security_log.answers.repeats.count", fail)
    direct, with_session = send("a wrong key"), send("a wrong key", HTTP_COOKIE="theme=dark")
    assert direct.status_code == 500
    assert comparable(direct) == comparable(with_session)


def test_middleware_comes_directly_before_the_session(settings: Settings) -> None:
    names = [name.rpartition(".")[2] for name in settings.MIDDLEWARE]
    assert names.index("bypass_session_middleware") + 1 == names.index("SessionMiddleware")

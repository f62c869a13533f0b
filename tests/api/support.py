"""A client for the JSON API, assertions on its errors, and counts of rows and queries."""

import json
from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db import connection, models
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aiinfra import timed_cache
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, TenantModel
from aiinfra.tenants.scope import system_scope

QUEUE, CHAT, HEALTH, COST = "/api/ai/queue", "/api/ai/chat", "/api/ai/health", "/api/ai/cost"
CACHE, EVENTS, PERFORMANCE, METRICS = "/api/ai/cache", "/api/ai/events", "/api/ai/performance", "/metrics"
EXPORTS, KEYS, PRIVACY, SECURITY_EVENTS = "/api/ai/exports", "/api/ai/keys", "/api/ai/privacy", "/api/ai/security-log"
ALIASES = "/api/ai/aliases"
V1 = "/v1/"
COMPLETIONS, EMBEDDINGS, MODELS, RESPONSES = f"{V1}chat/completions", f"{V1}embeddings", f"{V1}models", f"{V1}responses"
FILES, BATCHES = f"{V1}files", f"{V1}batches"
MESSAGES_DOOR, COUNT_TOKENS = f"{V1}messages", f"{V1}messages/count_tokens"
MESSAGES = [{"role": "user", "content": "What is a queue?"}]


def enqueue_body(**changes: Any) -> dict[str, Any]:
    """The smallest valid body, with these changes."""
    return {"provider": "deepseek", "model": "deepseek-chat", "messages": MESSAGES, **changes}


def new_key(organization: Organization, role: Role, scopes: list[str] | None = None) -> str:
    """Create an API key and return its text."""
    return keys.create_key(organization=organization, name="bot", role=role, scopes=scopes, actor="command:test")[1]


class Caller:
    """A client of the JSON API, with an API key or a session."""

    def __init__(self, client: Client | None = None, key: str | None = None) -> None:
        self.client = client or Client()
        self.client.raise_request_exception = False
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def get(self, path: str, **query: Any) -> HttpResponse:
        return self.client.get(path, query, headers=self.headers)

    def post(self, path: str, body: Any, *, content_type: str = "application/json", **headers: str) -> HttpResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        extra = {"CONTENT_TYPE": content_type}  # Django's client omits it if the body is empty
        return self.client.post(path, data, content_type=content_type, headers={**self.headers, **headers}, **extra)

    def method(self, name: str, path: str) -> HttpResponse:
        return self.client.generic(name, path, headers=self.headers)


def error_of(response: HttpResponse) -> dict[str, Any]:
    """The error of a response in the native format, after checking the format."""
    assert response["Content-Type"] == "application/json"
    body = json.loads(response.content)
    if response.wsgi_request.path.startswith(V1):
        return vendor_error_of(response, body)
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert list(error) == ["type", "message", "param", "requestId"]
    assert error["type"] and error["message"]
    assert error["requestId"] == response["X-Request-Id"]
    return error


def vendor_error_of(response: HttpResponse, body: dict[str, Any]) -> dict[str, Any]:
    """The error of a response in a vendor's format, after checking the format."""
    error: dict[str, Any] = body["error"]
    if response.wsgi_request.path.startswith(MESSAGES_DOOR):
        assert (list(body), list(error)) == (["type", "error", "request_id"], ["type", "message"])
        assert body["request_id"] == response["X-Request-Id"]
    else:
        assert (list(body), list(error)) == (["error"], ["message", "type", "param", "code"])
    assert error["type"] and error["message"]
    return error


def refused(response: HttpResponse, status: int, param: str | None = None) -> dict[str, Any]:
    """Assert that the response is this error and return it; `param` is the field that it names."""
    assert response.status_code == status, response.content
    error = error_of(response)
    assert param is None or error["param"] == param
    return error


def queries_of(call: Callable[[], object]) -> int:
    """The number of queries that a call runs with an empty process cache."""
    timed_cache.clear_all()
    with CaptureQueriesContext(connection) as captured:
        call()
        return len(captured)


def rows() -> dict[str, int]:
    """The number of rows in every tenant table, including the audit log and API keys."""
    with system_scope():
        return {model.__name__: model.objects.count() for model in tenant_tables()}


def tenant_tables() -> list[type[models.Model]]:
    return [model for model in apps.get_models() if issubclass(model, TenantModel)]

"""A client with a wrong base URL gets an error that names the right URL, in the format that the client understands."""

from typing import Any

import pytest
from django.test import Client

CHAT, MESSAGES, MODELS = "/v1/chat/completions", "/v1/messages", "/v1/models"


def _answer(client: Client, path: str, **headers: str) -> Any:
    return client.post(path, {}, content_type="application/json", headers=headers)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/chat/completions", CHAT),
        ("/chat/completions/", CHAT),
        ("/v1/chat/completions/", CHAT),
        ("/v1//chat/completions", CHAT),
        ("/v1/v1/chat/completions", CHAT),
        ("/models", MODELS),
        ("/messages", MESSAGES),
        ("/v1/v1/messages", MESSAGES),
        ("/v1/messages/", MESSAGES),
        ("/V1/Chat/Completions", CHAT),
        ("/api/ai/chat/", "/api/ai/chat"),
        ("/openai/v1/chat/completions", CHAT),
        ("/openai/deployments/gpt-4/chat/completions", CHAT),
        ("/api/v1/chat/completions", CHAT),
        ("/anthropic/v1/messages", MESSAGES),
        ("/a/b/anthropic/v1/messages/count_tokens", f"{MESSAGES}/count_tokens"),
        ("/openai/v1/files/file-1/content", "/v1/files/file-1/content"),
    ],
)
def test_error_suggests_the_intended_url(client: Client, path: str, meant: str) -> None:
    response = _answer(client, path, Authorization="Bearer anything")
    assert response.status_code == 404
    assert f"Unknown URL: {path}. Did you mean {meant}?" in response.json()["error"]["message"]


def test_error_has_the_format_of_the_intended_endpoint(client: Client) -> None:
    openai, *others = (
        _answer(client, path).json() for path in ("/chat/completions", "/v1/v1/messages", "/a/v1/messages")
    )
    assert (openai["error"]["type"], openai["error"]["code"]) == ("invalid_request_error", "not_found")
    assert {(each["type"], each["error"]["type"]) for each in others} == {("error", "not_found_error")}


@pytest.mark.parametrize(
    ("path", "legacy", "instead"),
    [
        ("/v1/completions", "/v1/completions", CHAT),
        ("/completions", "/v1/completions", CHAT),
        ("/v1/v1/completions/", "/v1/completions", CHAT),
        ("/v1/complete", "/v1/complete", MESSAGES),
    ],
)
def test_legacy_endpoint_names_its_successor(client: Client, path: str, legacy: str, instead: str) -> None:
    response = _answer(client, path)
    message = f"{legacy} is a legacy endpoint that aiinfra doesn't support. Use {instead}."
    assert (response.status_code, response.json()["error"]["message"]) == (404, message)


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v1/v1/nothing", "/v1", "/v1/", "/v1/audio/speech", "/v1/messages/no"]
)
def test_unknown_v1_url_lists_the_supported_endpoints(client: Client, path: str) -> None:
    response = _answer(client, path)
    message = response.json()["error"]["message"]
    assert response.status_code == 404
    assert f"Unknown URL: {path}. aiinfra supports /v1/" in message
    assert {CHAT, MESSAGES, MODELS} <= set(message.removesuffix(".").replace(",", "").split())


def test_unknown_url_returns_404(client: Client) -> None:
    response = _answer(client, "/api/ai/nothing/")
    assert (response.status_code, response.json()["error"]["message"]) == (404, "Not found.")


def test_browser_gets_a_page(client: Client) -> None:
    response = client.get("/chat/completions", headers={"Accept": "text/html,*/*"})
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")

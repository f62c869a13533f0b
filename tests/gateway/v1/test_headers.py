"""Headers for the key and for aiinfra's options, as clients and proxies send them."""

import pytest
from django.test import RequestFactory

from aiinfra.gateway.v1.call_headers import options_from
from tests.api.support import (
    COMPLETIONS,
    COUNT_TOKENS,
    MESSAGES,
    MESSAGES_DOOR,
    MODELS,
    Caller,
    error_of,
)

COUNTED = {"model": "claude-haiku-4-5", "messages": MESSAGES}
CALL = {"model": "gpt-4", "messages": MESSAGES, "max_tokens": 50}
DRY = {"x-aiinfra-dry-run": "true"}


def key_of(program: Caller) -> str:
    return program.headers["Authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("other", ["", "Bearer", "Basic eDp5", "Token x", "Digest username=x"])
def test_x_api_key_is_accepted_beside_another_authorization_scheme(program: Caller, other: str) -> None:
    """A proxy in front of aiinfra may need the `Authorization` header."""
    stranger = Caller()
    headers = {"Authorization": other, "x-api-key": key_of(program)}
    assert stranger.post(COUNT_TOKENS, COUNTED, **headers).status_code == 200
    assert stranger.client.get(MODELS, headers=headers).status_code == 200


def test_bearer_key_takes_precedence_over_x_api_key(program: Caller) -> None:
    assert program.post(COUNT_TOKENS, COUNTED, **{"x-api-key": "x"}).status_code == 200
    stranger = Caller()
    wrong = {"Authorization": "Bearer x", "x-api-key": key_of(program)}
    assert stranger.post(COUNT_TOKENS, COUNTED, **wrong).status_code == 401


def test_option_values_are_case_insensitive(program: Caller) -> None:
    for name, value in (("x-aiinfra-priority", "HIGH"), ("x-aiinfra-cache", "Bypass"), ("x-aiinfra-dry-run", "True")):
        assert program.post(COMPLETIONS, CALL, **{**DRY, name: value}).status_code == 200, name


@pytest.mark.parametrize(("text", "seconds"), [("600", 120), ("5", 5)])
def test_longer_timeout_of_litellm_counts_as_the_longest(text: str, seconds: int) -> None:
    request = RequestFactory().post("/", headers={"x-litellm-timeout": text})
    assert options_from(request, {"messages": MESSAGES}).timeout == seconds * 1000


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("door", [COMPLETIONS, MESSAGES_DOOR])
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-aiinfra-priority", "urgent"),
        ("x-aiinfra-cache", "no"),
        ("x-aiinfra-tags", "x" * 65),
        ("x-aiinfra-tags", ",".join(map(str, range(30)))),
        ("x-aiinfra-webhook", "ftp://example.com"),
        ("x-aiinfra-timeout", "600"),
        ("x-litellm-timeout", "0"),
        ("x-litellm-timeout", "nan"),
        ("x-aiinfra-dry-run", "maybe"),
    ],
)
def test_invalid_option_is_refused_by_name(program: Caller, door: str, header: str, value: str) -> None:
    body = CALL if door == COMPLETIONS else {**COUNTED, "max_tokens": 50}
    response = program.post(door, body, **{header: value})
    assert response.status_code == 400
    error = error_of(response)
    assert error.get("param") == header or error["message"].startswith(f"{header}: ")

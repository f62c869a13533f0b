"""Parameters that a model rejection are replaced or left out within the same attempt, and remembered."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from aiinfra.providers.adapters import parameters
from aiinfra.providers.adapters.parameters import NEW_LIMIT, OLD_LIMIT, Rules, rules_for
from aiinfra.providers.base import ChatAnswer, ErrorCode, ProviderError
from aiinfra.providers.registry import Provider
from aiinfra.redis import redis_client
from tests.providers.fake_server import CALL, FakeServer, fake_server, http, outcome

ANSWER = http({"choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}]})
WARM = replace(CALL, temperature=0.2)


def rejection(message: str, status: int = 400, **labels: str) -> bytes:
    return http({"error": {"message": message, "type": "invalid_request_error", **labels}}, status)


NO_MAX_TOKENS = rejection(
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    param="max_tokens",
    code="unsupported_parameter",
)
NO_TEMPERATURE = rejection(
    "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
    param="temperature",
    code="unsupported_value",
)
NO_NEW_NAME = http({"detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"]}]}, 422)


OUT_OF_RANGE = [
    "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
    "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens for this model",
    "max_tokens should be in [1, 4096]",
    "Range of max_tokens should be [1, 2000]",
    "max_tokens (77) is above this model's limit of 50",
    "input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000",
    "temperature: range: 0..1",
    "Invalid temperature value, the valid range of temperature is [0, 2.0]",
    "'temperature' must be non-negative, got -1.0",
    "temperature should be in [0.0, 2.0)",
    "Temperature must be positive",
]
"""The value is invalid but the parameter is supported: dropping it would ignore what the client asked for."""


@pytest.fixture
def fake(redis_url: str) -> Iterator[FakeServer]:
    parameters._remembered.clear()
    with fake_server() as running:
        yield running
    parameters._remembered.clear()


def sent(fake: FakeServer) -> list[dict[str, Any]]:
    """The parameters of each call that the server received."""
    return [{name: body[name] for name in body if name not in {"model", "messages"}} for body in fake.bodies]


@pytest.mark.parametrize(
    ("refusals", "model", "last"),
    [
        ([NO_MAX_TOKENS], "thinker", {NEW_LIMIT: 77, "temperature": 0.2}),
        ([NO_TEMPERATURE], "thinker", {OLD_LIMIT: 77}),
        ([NO_MAX_TOKENS, NO_TEMPERATURE], "thinker", {NEW_LIMIT: 77}),
        ([NO_TEMPERATURE, NO_MAX_TOKENS], "thinker", {NEW_LIMIT: 77}),
        ([rejection("invalid temperature: only 1 is allowed for this model")], "thinker", {OLD_LIMIT: 77}),
        ([rejection("`temperature` is deprecated for this model.")], "thinker", {OLD_LIMIT: 77}),
        (
            [rejection("Unknown parameter: max_tokens, on o9-2026-12-17", code="400")],
            "thinker",
            {NEW_LIMIT: 77, "temperature": 0.2},
        ),
        ([NO_NEW_NAME], "gpt-5-mini", {OLD_LIMIT: 77, "temperature": 0.2}),
    ],
)
def test_refused_parameters_are_replaced_or_omitted_and_remembered(
    fake: FakeServer, refusals: list[bytes], model: str, last: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    adapter = fake.adapter()
    fake.will_answer(*refusals, ANSWER)
    with caplog.at_level(logging.INFO, parameters.__name__):
        assert isinstance(outcome(adapter, WARM, model), ChatAnswer)
    assert sent(fake)[-1] == last
    assert len(fake.bodies) == len(refusals) + 1
    assert "rejected a parameter" in caplog.text
    parameters._remembered.clear()  # as in another process
    fake.will_answer(ANSWER)
    assert isinstance(outcome(adapter, WARM, model), ChatAnswer)
    assert sent(fake) == [last]
    [key] = redis_client().keys("aiinfra:parameters:*")
    assert 0 < redis_client().ttl(key) <= parameters.KEPT_S


def test_refused_tier_is_omitted_and_remembered(fake: FakeServer) -> None:
    flex, adapter = replace(WARM, service_tier="flex"), fake.adapter()
    fake.will_answer(rejection("Invalid service_tier argument", param="service_tier"), ANSWER)
    assert isinstance(outcome(adapter, flex), ChatAnswer)
    parameters._remembered.clear()  # as in another process
    fake.will_answer(ANSWER)
    assert isinstance(outcome(adapter, flex), ChatAnswer)
    assert sent(fake) == [{OLD_LIMIT: 77, "temperature": 0.2}]


def test_call_can_lose_three_parameters(fake: FakeServer) -> None:
    fake.will_answer(rejection("no service_tier here"), NO_MAX_TOKENS, NO_TEMPERATURE, ANSWER)
    assert isinstance(outcome(fake.adapter(), replace(WARM, service_tier="flex")), ChatAnswer)
    assert sent(fake)[-1] == {NEW_LIMIT: 77}


def test_changed_call_has_a_new_idempotency_key_and_the_same_attempt(fake: FakeServer) -> None:
    fake.will_answer(NO_MAX_TOKENS, ANSWER)
    outcome(fake.adapter())
    keys, attempts = (
        [line.partition(": ")[2] for head in fake.heads for line in head.split("\r\n") if line.lower().startswith(name)]
        for name in ("idempotency-key:", "x-attempt-id:")
    )
    assert len(set(keys)) == 2
    assert len(set(attempts)) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        rejection("max_tokens is too large: 77. This model supports at most 50 completion tokens.", param="max_tokens"),
        rejection("temperature must be between 0 and 1", param="temperature"),
        *map(rejection, OUT_OF_RANGE),
        rejection("messages: roles must alternate", param="messages"),
        rejection(
            "This model's maximum context length is 40 tokens; max_tokens was 77.", code="context_length_exceeded"
        ),
        rejection("max_tokens is not supported", status=403),
        rejection("max_tokens broke the server", status=500),
    ],
)
def test_other_errors_are_not_retried(fake: FakeServer, refusal: bytes) -> None:
    fake.will_answer(refusal)
    assert isinstance(outcome(fake.adapter(), WARM), ProviderError)
    assert len(fake.bodies) == 1


def test_call_fails_after_three_changes_and_nothing_is_remembered(fake: FakeServer) -> None:
    fake.will_answer(NO_MAX_TOKENS, NO_NEW_NAME, NO_MAX_TOKENS, NO_NEW_NAME)
    error = outcome(fake.adapter())
    assert isinstance(error, ProviderError)
    assert (error.code, error.may_be_billed) == (ErrorCode.INVALID_REQUEST, False)
    assert len(fake.bodies) == 4
    assert redis_client().keys("aiinfra:parameters:*") == []


def provider(name: str, base_url: str) -> Provider:
    return Provider(name, base_url, "k", is_named_by_operator=True)


@pytest.mark.parametrize(
    ("base_url", "model", "rules"),
    [
        ("https://api.openai.com/v1", "gpt-4", Rules(NEW_LIMIT)),
        ("https://api.openai.com/v1", "o3-mini", Rules(NEW_LIMIT, takes_temperature=False)),
        ("https://gateway.example/v1", "gpt-4", Rules()),
        ("https://gateway.example/v1", "gpt-5-nano", Rules(NEW_LIMIT)),
        ("https://gateway.example/v1", "openai/o1", Rules(NEW_LIMIT, takes_temperature=False)),
        ("https://gateway.example/v1", "o10-something", Rules()),
        ("https://gateway.example/v1", "olmo-2", Rules()),
    ],
)
def test_model_families_are_recognized_at_any_base_url(redis_url: str, base_url: str, model: str, rules: Rules) -> None:
    assert rules_for(provider("any", base_url), model) == rules


@pytest.mark.parametrize("text", ["no json", "[]", '{"limit": "messages"}', "null", ""])
def test_invalid_rule_in_redis_is_ignored(redis_url: str, text: str) -> None:
    server = provider("any", "https://broken.example/v1")
    redis_client().set(parameters._key(server, "m"), text)
    parameters._remembered.clear()
    assert rules_for(server, "m") == Rules()


def test_process_remembers_a_bounded_number_of_models(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "REMEMBERED_MAX", 3)
    for number in range(10):
        rules_for(provider("any", "https://gateway.example/v1"), f"model-{number}")
    assert len(parameters._remembered) <= 3

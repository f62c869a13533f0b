"""A wrong type anywhere in the body of any endpoint returns 400 and names the field, in the vendor's format."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from aiinfra.api import parse
from aiinfra.failures import ApiError
from aiinfra.gateway import chat
from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.json_body import check_tree
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.prices import lookup as pricebook
from queue_app.api import contract_errors
from queue_app.facade import Submission
from queue_app.submission import intake
from tests.api.support import (
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES_DOOR,
    RESPONSES,
    Caller,
    error_of,
    refused,
)
from tests.gateway.v1.bodies import DOORS, call_of
from tests.providers.dialects.calls import VALUES, changed, places
from tests.support.examples import examples

PLACES = [(door, path) for door, (_, body, _) in DOORS.items() for path in places(body)]
FOR_DOOR = {
    COMPLETIONS: ["gpt-4", "claude-haiku-4-5", "deepseek-chat"],
    MESSAGES_DOOR: ["claude-haiku-4-5", "gpt-4", "deepseek-chat"],
    RESPONSES: ["gpt-4", "claude-haiku-4-5", "deepseek-chat"],
}


@pytest.fixture(autouse=True)
def _in_organization(organization: Organization, redis_url: str, settings: Settings) -> Iterator[None]:
    settings.PROVIDER_API_KEYS = {"openai": "", "deepseek": "", "anthropic": ""}
    pricebook.add_shipped_prices()
    with organization_scope(organization.pk):
        yield


@pytest.fixture
def closed_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuses to wait for answers, in case a body is accepted by mistake."""
    monkeypatch.setattr(chat, "waiting_room", WaitingRoom(0))


def outcome_of(door: str, body: dict[str, Any], organization: Organization) -> object:
    """Convert a body at an endpoint, as for sending a call. Returns the ApiError if it is refused."""
    payload, _, convert = DOORS[door]
    try:
        with contract_errors():
            check_tree(body)
            made = convert(call_of(organization), parse(payload, body, strict=True))
            if isinstance(made, Submission):
                terms = intake.call_terms(made)
                intake.question_of(made, terms)
                json.dumps(intake.call_of(made, terms, None))
            return made
    except ApiError as error:
        return error


@settings(max_examples=examples(300, 10_000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), value=VALUES, choice=st.integers(0, 2))
def test_any_value_anywhere_is_accepted_or_refused(
    organization: Organization, place: tuple[str, tuple[str | int, ...]], value: Any, choice: int
) -> None:
    door, path = place
    body = {**DOORS[door][1], "model": FOR_DOOR[door][choice]} if door in FOR_DOOR else DOORS[door][1]
    outcome = outcome_of(door, changed(body, path, value), organization)
    if isinstance(outcome, ApiError):
        assert outcome.status in {400, 404, 422}
        named = (outcome.param or "").removeprefix("parameters.").split(".")[0]
        assert named in {*body, ""}, outcome.param


@pytest.mark.parametrize("door", DOORS)
def test_unchanged_bodies_are_accepted(door: str, organization: Organization) -> None:
    outcome = outcome_of(door, DOORS[door][1], organization)
    assert not isinstance(outcome, ApiError), (outcome.param, outcome.message)


OPTIONAL = [
    (door, name)
    for door, (payload, _, _) in DOORS.items()
    for name, field in payload.model_fields.items()
    if not field.is_required()
]


@pytest.mark.parametrize(("door", "name"), OPTIONAL)
def test_null_has_the_same_effect_as_leaving_out_a_field(door: str, name: str, organization: Organization) -> None:
    outcome = outcome_of(door, {**DOORS[door][1], name: None}, organization)
    assert not isinstance(outcome, ApiError), (outcome.param, outcome.message)


CASES: list[tuple[str, str, str]] = [
    *[
        (door, spelled, param)
        for door in (COMPLETIONS, MESSAGES_DOOR, COUNT_TOKENS)
        for spelled, param in [
            ('"messages": [null]', "messages.0"),
            ('"messages": [{"role": "user", "content": [1]}]', "messages.0.content"),
            ('"messages": 5', "messages"),
            ('"messages": [{"role": "user", "content": "\\ud800"}]', "messages.0.content"),
            ('"tools": "x"', "tools"),
            ('"tools": [5]', "tools.0"),
            ('"tool_choice": [1]', "tool_choice"),
            ('"metadata": ["a"]', "metadata"),
            ('"top_p": NaN', "top_p"),
            ('"top_p": "1"', "top_p"),
            ('"model": 5', "model"),
        ]
    ],
    (COMPLETIONS, '"messages": [{"role": "assistant", "tool_calls": 5}]', "messages.0.tool_calls"),
    (COMPLETIONS, '"stream_options": 3', "stream_options"),
    (COMPLETIONS, '"stream_options": {"include_usage": "yes"}', "stream_options.include_usage"),
    (COMPLETIONS, '"seed": 99999999999999999999', "seed"),
    (COMPLETIONS, '"max_tokens": true', "max_tokens"),
    (COMPLETIONS, f'"metadata": {"[" * 40}{"]" * 40}', "metadata" + ".0" * 32),
    (MESSAGES_DOOR, '"system": [5]', "system.0"),
    (MESSAGES_DOOR, '"stream": "yes"', "stream"),
    (RESPONSES, '"input": [null]', "input.0"),
    (RESPONSES, '"input": [{"role": "user", "content": [1]}]', "input.0.content.0"),
    (RESPONSES, '"input": [{"role": 5, "content": "x"}]', "input.0.role"),
    (RESPONSES, '"input": [{"type": "function_call", "name": 5}]', "input.0.name"),
    (RESPONSES, '"input": [{"type": "function_call", "name": "x", "arguments": "{}"}]', "input.0.call_id"),
    (RESPONSES, '"input": [{"role": "user", "content": []}]', "input.0.content"),
    (RESPONSES, '"tools": [[]]', "tools.0"),
    (RESPONSES, '"text": {"format": {"type": "json_schema", "schema": 5}}', "text.format.schema"),
    (RESPONSES, '"reasoning": "high"', "reasoning"),
    (EMBEDDINGS, '"input": [null]', "input.0"),
    (EMBEDDINGS, '"input": 5', "input"),
    (EMBEDDINGS, '"dimensions": "5"', "dimensions"),
]
"""Endpoint, a field with its value, and the field that the error names."""


@pytest.mark.parametrize(("door", "spelled", "param"), CASES)
def test_invalid_field_is_named_in_the_vendors_format(
    program: Caller, closed_room: None, door: str, spelled: str, param: str
) -> None:
    name = spelled.split('"')[1]
    rest = {member: value for member, value in DOORS[door][1].items() if member != name}
    response = program.post(door, f"{json.dumps(rest)[:-1]}, {spelled}}}".encode())
    error = error_of(response)
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    if door in {MESSAGES_DOOR, COUNT_TOKENS}:
        assert error["message"].startswith(f"{param}: ")
    else:
        assert error["param"] == param


@pytest.mark.parametrize("address", ["/v1/chat/completions", "/v1/messages"])
def test_client_errors_are_not_reported_as_server_errors(program: Caller, address: str) -> None:
    assert refused(program.get(address), 405)["type"] == "invalid_request_error"
    assert refused(program.post(address, b"a=1", content_type="text/plain"), 415)["type"] == "invalid_request_error"


EMPTY_TURNS = [{"role": "system", "content": ""}, {"role": "user", "content": [{"type": "text", "text": ""}]}]


@pytest.mark.parametrize("model", ["gpt-4", "deepseek-chat"])
def test_empty_text_is_passed_on_in_the_openai_dialect(model: str, organization: Organization) -> None:
    for turns in (EMPTY_TURNS, [{"role": "user", "content": ""}]):
        chat_call = outcome_of(COMPLETIONS, {"model": model, "messages": turns}, organization)
        assert isinstance(chat_call, Submission)
        assert chat_call.messages == turns
    response_call = outcome_of(RESPONSES, {"model": model, "input": [{"role": "user", "content": ""}]}, organization)
    assert response_call[0].messages == [{"role": "user", "content": ""}]  # type: ignore[index]


EMPTY: list[tuple[str, dict[str, Any], str]] = [
    (COMPLETIONS, {"model": "claude-haiku-4-5", "messages": EMPTY_TURNS}, "messages.1.content"),
    (COMPLETIONS, {"model": "gpt-4", "messages": [{"role": "user", "content": []}]}, "messages.0.content"),
    (COMPLETIONS, {"model": "gpt-4", "messages": [{"role": "user"}]}, "messages.0.content"),
    (RESPONSES, {"model": "claude-haiku-4-5", "input": [{"role": "user", "content": ""}]}, "input.0.content"),
    (MESSAGES_DOOR, {"max_tokens": 5, "messages": [{"role": "user", "content": ""}]}, "messages.0.content"),
    (COUNT_TOKENS, {"messages": [{"role": "user", "content": ""}]}, "messages.0.content"),
]
"""Endpoint, a body without text, and the field that the error names."""


@pytest.mark.parametrize(("door", "body", "param"), EMPTY)
def test_empty_text_that_cannot_be_sent_is_refused(
    door: str, body: dict[str, Any], param: str, organization: Organization
) -> None:
    outcome = outcome_of(door, {"model": "claude-haiku-4-5", **body}, organization)
    assert isinstance(outcome, ApiError)
    assert (outcome.status, outcome.param) == (400, param)

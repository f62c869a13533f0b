"""Everything that the official SDKs can send reaches the provider unchanged, or is refused by name."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from anthropic.types.content_block_param import ContentBlockParam
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from openai.types.chat import ChatCompletionMessageParam
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

from aiinfra.providers.base import ChatAnswer, ChatCall, Dialect
from aiinfra.providers.dialects.choosing import check_expressible
from aiinfra.providers.dialects.rejections import OWN_FIELDS, UNBOUNDED, CallRejectedError
from tests.providers.fake_server import CALL, FakeServer, fake_server, http, outcome
from tests.support.sdk_samples import parameters_of, samples

OPENAI_ANSWER = http({"choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}]})
ANTHROPIC_ANSWER = http({"content": [{"type": "text", "text": "Hi."}], "stop_reason": "end_turn"})
NATIVE = replace(CALL, dialect=Dialect.ANTHROPIC)


def cases(typed_dict: Any) -> list[tuple[str, Any]]:
    """(name, sample) of each parameter that is passed on unchanged."""
    held_back = {*OWN_FIELDS, *UNBOUNDED}
    return [
        (name, value)
        for name, hint in parameters_of(typed_dict).items()
        if name not in held_back
        for value in samples(hint)
        if not is_run_by_the_provider(value)
    ]


def is_run_by_the_provider(tools: Any) -> bool:
    names = ("web_search", "web_fetch", "code_execution")
    kinds = [str(tool.get("type")) for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return any(kind.startswith(names) for kind in kinds)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    with fake_server() as running:
        yield running


def body_at(fake: FakeServer, call: ChatCall) -> dict[str, Any]:
    """The body sent to the provider of the call's own dialect."""
    native = call.dialect == Dialect.ANTHROPIC
    fake.will_answer(ANTHROPIC_ANSWER if native else OPENAI_ANSWER)
    assert isinstance(outcome(fake.adapter(call.dialect.value), call), ChatAnswer)
    return fake.bodies[0]


@pytest.mark.parametrize("kind", [{}, [], 5, None])
@pytest.mark.parametrize(
    ("provider", "dialect", "content", "parameters"),
    [
        ("local", Dialect.OPENAI, [{"type": "KIND"}], {}),
        ("local", Dialect.ANTHROPIC, [{"type": "document", "source": {"type": "KIND"}}], {}),
        ("local", Dialect.ANTHROPIC, "Hi.", {"tool_choice": {"type": "KIND"}}),
        ("anthropic", Dialect.OPENAI, "Hi.", {"response_format": {"type": "KIND"}}),
    ],
)
def test_type_that_is_not_a_string_is_refused(
    provider: str, dialect: Dialect, content: Any, parameters: dict[str, Any], kind: Any
) -> None:
    call = json.dumps([content, parameters]).replace('"KIND"', json.dumps(kind))
    content, parameters = json.loads(call)
    with pytest.raises(CallRejectedError):
        check_expressible(provider, dialect, [{"role": "user", "content": content}], parameters)


@pytest.mark.parametrize("effort", [{}, [5], 5])
def test_effort_that_is_not_a_string_is_refused(effort: Any) -> None:
    messages = [{"role": "user", "content": "Hi."}]
    with pytest.raises(CallRejectedError):
        check_expressible("anthropic", Dialect.OPENAI, messages, {"reasoning_effort": effort})
    if effort:
        with pytest.raises(CallRejectedError):
            check_expressible("local", Dialect.ANTHROPIC, messages, {"output_config": {"effort": effort}})


@pytest.mark.parametrize(("name", "value"), cases(CompletionCreateParamsNonStreaming))
def test_every_openai_chat_parameter_arrives_unchanged(fake: FakeServer, name: str, value: Any) -> None:
    check_expressible("local", Dialect.OPENAI, CALL.messages, {name: value})
    body = body_at(fake, replace(CALL, parameters={name: value}))
    assert body == {"model": "m", "messages": CALL.messages, "max_tokens": 77, name: value}


@pytest.mark.parametrize(("name", "value"), cases(MessageCreateParamsNonStreaming))
def test_every_anthropic_message_parameter_arrives_unchanged(fake: FakeServer, name: str, value: Any) -> None:
    check_expressible("anthropic", Dialect.ANTHROPIC, NATIVE.messages, {name: value})
    body = body_at(fake, replace(NATIVE, parameters={name: value}))
    assert body == {"model": "m", "messages": CALL.messages, "max_tokens": 77, name: value}


@pytest.mark.parametrize("message", samples(ChatCompletionMessageParam), ids=lambda message: message["role"])
def test_every_openai_message_field_arrives_unchanged(fake: FakeServer, message: dict[str, Any]) -> None:
    assert body_at(fake, replace(CALL, messages=[message]))["messages"] == [message]


@pytest.mark.parametrize("block", samples(ContentBlockParam), ids=lambda block: block["type"])
def test_every_anthropic_message_block_arrives_unchanged(fake: FakeServer, block: Any) -> None:
    messages = [{"role": "user", "content": [block]}]
    assert body_at(fake, replace(NATIVE, messages=messages))["messages"] == messages


@pytest.mark.parametrize("name", sorted({*UNBOUNDED, *OWN_FIELDS}))
def test_unsupported_parameter_is_refused_by_name(name: str) -> None:
    with pytest.raises(CallRejectedError) as refusal:
        check_expressible("openai", Dialect.OPENAI, CALL.messages, {name: "x"})
    assert refusal.value.param == f"parameters.{name}"


@pytest.mark.parametrize("name", ["mcp_servers", "models", "plugins"])
def test_empty_list_asks_for_nothing_and_is_passed_on(fake: FakeServer, name: str) -> None:
    check_expressible("anthropic", Dialect.ANTHROPIC, CALL.messages, {name: []})
    assert body_at(fake, replace(NATIVE, parameters={name: []}))[name] == []


def test_only_parameters_without_effect_are_dropped_in_translation() -> None:
    """A new SDK parameter is refused until its translation has been decided."""
    given = {name: samples(hint)[0] for name, hint in parameters_of(CompletionCreateParamsNonStreaming).items()}
    refused = set()
    for name in given.keys() - OWN_FIELDS.keys() - UNBOUNDED.keys():
        try:
            check_expressible("anthropic", Dialect.OPENAI, CALL.messages, {name: given[name]})
        except CallRejectedError as refusal:
            assert refusal.param.startswith(f"parameters.{name}")
            refused.add(name)
    assert refused == {
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "moderation",
        "prediction",
        "presence_penalty",
        "seed",
        "store",
        "top_logprobs",
        "top_p",
        "verbosity",
    }

"""Wrong types anywhere in a call are refused by name, in both dialects and both directions of translation."""

import json
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming

from aiinfra.providers.base import Dialect
from aiinfra.providers.dialects.choosing import check_expressible
from aiinfra.providers.dialects.rejections import CallRejectedError
from aiinfra.providers.dialects.shapes import check_shape
from cost_app.prices.prompt_size import estimated_tokens
from cost_app.recommendations.classes import classify, fingerprints
from tests.providers.dialects.calls import CALLS, VALUES, changed, places
from tests.support.examples import examples
from tests.support.sdk_samples import parameters_of, samples

PROVIDERS = ("openai", "anthropic", "deepseek", "own-server")


def refusal(provider: str, dialect: Dialect, call: dict[str, Any]) -> CallRejectedError | None:
    try:
        check_expressible(provider, dialect, call["messages"], call["parameters"])
    except CallRejectedError as error:
        return error
    return None


INSIDE = [(dialect, path) for dialect, call in CALLS.items() for path in places(call) if len(path) > 1]


@settings(max_examples=examples(500, 20_000))
@given(place=st.sampled_from(INSIDE), value=VALUES, provider=st.sampled_from(PROVIDERS))
def test_any_value_anywhere_is_sent_or_refused(
    place: tuple[Dialect, tuple[str | int, ...]], value: Any, provider: str
) -> None:
    dialect, path = place
    if path == ("messages",) or (path[0] == "messages" and len(path) < 4 and path[-1] != "tool_calls"):
        return  # the turns themselves, their roles and contents are checked with the body
    call = changed(CALLS[dialect], path, value)
    error = refusal(provider, dialect, call)
    if error is None:
        messages, parameters = call["messages"], call["parameters"]
        assert estimated_tokens(messages, parameters, "m") > 0
        assert classify(messages, 0) and fingerprints("p", "m", messages)
        json.dumps(call)
    else:
        assert error.param.split(".")[0] in {"messages", "parameters"}


@pytest.mark.parametrize(
    ("dialect", "path", "value"),
    [
        (Dialect.OPENAI, "messages.2.tool_calls", 5),
        (Dialect.OPENAI, "messages.2.tool_calls.0", "x"),
        (Dialect.OPENAI, "messages.2.tool_calls.0.function.arguments", {}),
        (Dialect.OPENAI, "messages.1.content.0.text", 5),
        (Dialect.OPENAI, "messages.1.content.1.image_url", "https://e.org"),
        (Dialect.OPENAI, "messages.2.thinking_blocks", "x"),
        (Dialect.OPENAI, "parameters.tools", "x"),
        (Dialect.OPENAI, "parameters.tools.0.function.parameters", [1]),
        (Dialect.OPENAI, "parameters.tool_choice", 5),
        (Dialect.OPENAI, "parameters.parallel_tool_calls", "yes"),
        (Dialect.OPENAI, "parameters.stop.0", 5),
        (Dialect.OPENAI, "parameters.user", {}),
        (Dialect.OPENAI, "parameters.metadata", ["a"]),
        (Dialect.OPENAI, "parameters.output_config", "high"),
        (Dialect.ANTHROPIC, "messages.1.content.1.input", "x"),
        (Dialect.ANTHROPIC, "messages.2.content.0.content.0.text", 5),
        (Dialect.ANTHROPIC, "parameters.system", 5),
        (Dialect.ANTHROPIC, "parameters.system.0", "x"),
        (Dialect.ANTHROPIC, "parameters.tools.0.input_schema", "x"),
        (Dialect.ANTHROPIC, "parameters.output_config.format", "json"),
        (Dialect.ANTHROPIC, "parameters.thinking.budget_tokens", "many"),
        (Dialect.ANTHROPIC, "parameters.stop_sequences", "x"),
        (Dialect.ANTHROPIC, "parameters.metadata", ["a"]),
    ],
)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_wrong_type_is_refused_by_name(provider: str, dialect: Dialect, path: str, value: Any) -> None:
    steps = tuple(int(step) if step.isdigit() else step for step in path.split("."))
    error = refusal(provider, dialect, changed(CALLS[dialect], steps, value))
    assert error is not None
    assert error.param == path
    assert error.message.startswith("This must be")


@pytest.mark.parametrize("dialect", CALLS)
def test_unchanged_calls_have_the_right_types(dialect: Dialect) -> None:
    check_shape(dialect, CALLS[dialect]["messages"], CALLS[dialect]["parameters"])
    for provider in ("openai", "own-server"):
        assert refusal(provider, dialect, CALLS[dialect]) is None


@pytest.mark.parametrize(
    ("dialect", "typed_dict"),
    [
        (Dialect.OPENAI, CompletionCreateParamsNonStreaming),
        (Dialect.ANTHROPIC, MessageCreateParamsNonStreaming),
    ],
)
def test_every_sample_of_the_sdks_has_the_right_types(dialect: Dialect, typed_dict: Any) -> None:
    for name, hint in parameters_of(typed_dict).items():
        for value in samples(hint):
            check_shape(dialect, *((value, {}) if name == "messages" else ([], {name: value})))


def test_every_message_of_the_sdk_has_the_right_types() -> None:
    for message in samples(ChatCompletionMessageParam):
        check_shape(Dialect.OPENAI, [message], {})

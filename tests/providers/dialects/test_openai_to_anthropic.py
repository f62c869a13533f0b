"""Translating OpenAI messages to Anthropic's dialect."""

from typing import Any

import pytest

from aiinfra.providers.dialects.openai_to_anthropic import split_messages, to_anthropic
from aiinfra.providers.dialects.rejections import CallRejectedError


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_system_messages_are_joined_regardless_of_position() -> None:
    system, turns = split_messages(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
            {"role": "developer", "content": [text("Be kind.")]},
        ]
    )
    assert system == "Be brief.\n\nBe kind."
    assert turns == [{"role": "user", "content": [text("hi")]}]


def test_lone_system_messages_become_a_user_message() -> None:
    """Anthropic requires at least one turn."""
    system, turns = split_messages([{"role": "system", "content": "Say hi."}, {"role": "developer", "content": "Now."}])
    assert (system, turns) == ("", [{"role": "user", "content": [text("Say hi.\n\nNow.")]}])


def test_consecutive_turns_of_one_role_are_merged() -> None:
    _, turns = split_messages(
        [
            {"role": "user", "content": "a"},
            {"role": "user", "content": [text("b")]},
            {"role": "assistant", "content": "c"},
        ]
    )
    assert turns == [
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "assistant", "content": [text("c")]},
    ]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": ""}, {"role": "user", "content": "hi"}],
        [{"role": "developer", "content": [text("")]}, {"role": "user", "content": [text("hi"), text("")]}],
        [{"role": "user", "content": ""}, {"role": "user", "content": "hi"}],
        [{"role": "user", "content": "hi"}, {"role": "user", "content": [text("")]}],
        [{"role": "assistant", "content": ""}, {"role": "user", "content": "hi"}],
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [{"type": "refusal", "refusal": ""}]}],
    ],
)
def test_empty_text_is_left_out(messages: list[dict[str, Any]]) -> None:
    """Anthropic rejects empty text."""
    assert to_anthropic(messages, {}) == {"messages": [{"role": "user", "content": [text("hi")]}]}


@pytest.mark.parametrize(
    ("messages", "index"),
    [
        ([{"role": "user", "content": ""}], 0),
        ([{"role": "system", "content": "Say hi."}, {"role": "user", "content": [text("")]}], 1),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": ""}], 2),
        ([{"role": "system", "content": ""}], 0),
        ([{"role": "assistant", "content": ""}], 0),
    ],
)
def test_turn_with_only_empty_text_is_refused(messages: list[dict[str, Any]], index: int) -> None:
    with pytest.raises(CallRejectedError) as rejection:
        split_messages(messages)
    assert rejection.value.param == f"messages.{index}.content"


def test_images_keep_their_source() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
    ]
    _, turns = split_messages([{"role": "user", "content": parts}])
    assert [block["source"] for block in turns[0]["content"]] == [
        {"type": "base64", "media_type": "image/png", "data": "aGk="},
        {"type": "url", "url": "https://example.org/cat.png"},
    ]


def test_tool_calls_and_results_become_blocks() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    _, turns = split_messages(
        [
            {"role": "user", "content": "add"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
        ]
    )
    assert turns[1]["content"] == [{"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}]
    assert turns[2]["role"] == "user"
    assert turns[2]["content"] == [{"type": "tool_result", "tool_use_id": "c1", "content": [text("1")]}]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "narrator", "content": "x"},
        {"content": "x"},
        {"role": "user", "content": [{"type": "input_audio"}]},
        {"role": "user", "content": 3},
        {"role": "tool", "content": "x"},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "no json"}}]},
        {"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/x"}}]},
    ],
)
def test_unsupported_message_is_refused_before_sending(message: dict[str, Any]) -> None:
    with pytest.raises(CallRejectedError, match=r"^messages\.0\."):
        split_messages([message])


def parameters_for(**parameters: Any) -> dict[str, Any]:
    body = to_anthropic([{"role": "user", "content": "hi"}], parameters)
    del body["messages"]
    return body


ADD = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}}
AS_TOOL = {"name": "add", "description": "Adds.", "input_schema": {"type": "object"}}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"tools": [ADD]}, {"tools": [AS_TOOL]}),
        (
            {"tools": [{"type": "function", "function": {"name": "now"}}]},
            {"tools": [{"name": "now", "input_schema": {"type": "object", "properties": {}}}]},
        ),
        ({"tool_choice": "auto"}, {"tool_choice": {"type": "auto"}}),
        ({"tool_choice": "none"}, {"tool_choice": {"type": "none"}}),
        ({"tool_choice": "required"}, {"tool_choice": {"type": "any"}}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "add"}}},
            {"tool_choice": {"type": "tool", "name": "add"}},
        ),
        (
            {"tools": [ADD], "parallel_tool_calls": False},
            {"tools": [AS_TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
        ({"parallel_tool_calls": True}, {}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"reasoning_effort": "high"}, {"output_config": {"effort": "high"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {
                "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
                "reasoning_effort": "minimal",
            },
            {"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}}},
        ),
        ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
        ({"thinking": {"type": "adaptive"}, "top_k": 5}, {"thinking": {"type": "adaptive"}, "top_k": 5}),
        ({"n": 1, "top_p": 1, "seed": None, "logprobs": False, "prompt_cache_key": "k", "metadata": {"a": "b"}}, {}),
    ],
)
def test_parameters_are_translated(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert parameters_for(**given) == sent


@pytest.mark.parametrize("name", ["functions", "logit_bias", "something"])
@pytest.mark.parametrize("empty", [[], {}])
def test_empty_parameter_asks_for_nothing(name: str, empty: Any) -> None:
    assert parameters_for(**{name: empty}) == {}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"seed": 7}, "seed"),
        ({"top_p": 0.5}, "top_p"),
        ({"logprobs": True}, "logprobs"),
        ({"something": "new"}, "something"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"tools": [ADD, {"type": "custom", "custom": {"name": "c"}}]}, "tools.1.type"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
    ],
)
def test_untranslatable_parameter_is_refused_by_name(given: dict[str, Any], named: str) -> None:
    with pytest.raises(CallRejectedError) as refusal:
        parameters_for(**given)
    assert refusal.value.param == f"parameters.{named}"


def test_thinking_keeps_its_signature_and_precedes_its_tool_calls() -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": ""}}
    message = {"role": "assistant", "content": "Adding.", "thinking_blocks": [thinking], "tool_calls": [call]}
    _, turns = split_messages([{"role": "user", "content": "add"}, message])
    use = {"type": "tool_use", "id": "c1", "name": "add", "input": {}}
    assert turns[1]["content"] == [thinking, text("Adding."), use]


def test_prompt_cache_markers_are_kept() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    system, turns = split_messages(
        [
            {"role": "system", "content": [{**text("Be brief."), **mark}]},
            {"role": "user", "content": [{**text("hi"), **mark}]},
        ]
    )
    assert system == [{**text("Be brief."), **mark}]
    assert turns[0]["content"] == [{**text("hi"), **mark}]

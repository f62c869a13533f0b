"""Translating Anthropic messages to OpenAI's dialect."""

from hashlib import sha256
from typing import Any

import pytest

from aiinfra.providers.base import Dialect
from aiinfra.providers.dialects.anthropic_to_openai import to_openai
from aiinfra.providers.dialects.choosing import openai_body
from aiinfra.providers.dialects.openai_to_anthropic import to_anthropic
from aiinfra.providers.dialects.rejections import CallRejectedError

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
TOOL = {"name": "add", "description": "Adds.", "input_schema": SCHEMA}
FUNCTION = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": SCHEMA}}
USE = {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}
THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
CLEARING = {"type": "clear_thinking_20251015", "keep": "all"}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def turns_of(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    return to_openai(messages, {})[0]


def test_system_prompt_becomes_the_first_message() -> None:
    messages, parameters = to_openai([{"role": "user", "content": "hi"}], {"system": "Be brief."})
    assert messages == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    assert parameters == {}
    blocks = [text("Be brief.", cache_control={"type": "ephemeral"}), text("Be kind.")]
    assert to_openai([], {"system": blocks})[0] == [{"role": "system", "content": "Be brief.\n\nBe kind."}]


def test_tool_calls_and_results_become_separate_messages() -> None:
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [text("2")]}
    assert turns_of(
        {
            "role": "assistant",
            "content": [THINKING, text("Adding."), USE],
        },
        {"role": "user", "content": [text("So?"), result]},
    ) == [
        {"role": "assistant", "content": "Adding.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
        {"role": "user", "content": [text("So?")]},
    ]


def test_images_of_tool_results_follow_in_the_user_message() -> None:
    def result(call_id: str, *blocks: dict[str, Any]) -> dict[str, Any]:
        return {"type": "tool_result", "tool_use_id": call_id, "content": list(blocks)}

    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    turns = turns_of({"role": "user", "content": [result("c1", text("Two."), image), result("c2", image), text("So?")]})
    assert [(turn["role"], turn["content"]) for turn in turns[:2]] == [
        ("tool", "Two."),
        ("tool", "The result is in the next message."),
    ]
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    headings = [text(f"Images from the tool call {each}:") for each in ("c1", "c2")]
    assert turns[2:] == [{"role": "user", "content": [headings[0], shown, headings[1], shown, text("So?")]}]


def test_images_keep_their_source() -> None:
    sources = [{"type": "base64", "media_type": "image/png", "data": "aGk="}, {"type": "url", "url": "https://e.org/c"}]
    [turn] = turns_of({"role": "user", "content": [{"type": "image", "source": each} for each in sources]})
    assert [part["image_url"]["url"] for part in turn["content"]] == ["data:image/png;base64,aGk=", "https://e.org/c"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (
            {"tools": [TOOL]},
            {"tools": [FUNCTION]},
        ),
        ({"tool_choice": {"type": "any"}}, {"tool_choice": "required"}),
        (
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
        (
            {"tool_choice": {"type": "tool", "name": "add"}},
            {"tool_choice": {"type": "function", "function": {"name": "add"}}},
        ),
        ({"stop_sequences": ["END"]}, {"stop": ["END"]}),
        ({"thinking": {"type": "enabled", "budget_tokens": 4_000}}, {"reasoning_effort": "medium"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 30_000}}, {"reasoning_effort": "high"}),
        ({"thinking": {"type": "adaptive"}}, {}),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"metadata": {"user_id": "u" * 65}}, {"user": sha256(b"u" * 65).hexdigest()}),
        ({"context_management": {"edits": [CLEARING]}}, {}),
        (
            {"output_config": {"effort": "max", "format": {"type": "json_schema", "schema": SCHEMA}}},
            {
                "reasoning_effort": "xhigh",
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
                },
            },
        ),
    ],
)
def test_parameters_are_translated(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert to_openai([], given)[1] == sent


@pytest.mark.parametrize(
    "empty", [{"context_management": {}}, {"context_management": {"edits": []}}, {"mcp_servers": []}, {"something": []}]
)
def test_empty_parameter_asks_for_nothing(empty: dict[str, Any]) -> None:
    assert to_openai([], empty) == ([], {})


@pytest.mark.parametrize(
    ("messages", "parameters", "named"),
    [
        ([], {"top_k": 5}, "parameters.top_k"),
        ([], {"context_management": {"edits": "all"}}, "parameters.context_management"),
        ([], {"context_management": {"edits": [CLEARING, {"type": "compact_x"}]}}, "parameters.context_management"),
        ([], {"tools": [{"type": "bash_20250124", "name": "bash"}]}, "parameters.tools.0.type"),
        ([], {"tool_choice": {"type": "maybe"}}, "parameters.tool_choice.type"),
        ([{"role": "user", "content": [{"type": "search_result"}]}], {}, "messages.0.content.0.type"),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "content": [{"type": "image"}]}],
                }
            ],
            {},
            "messages.0.content.0.content.0.type",
        ),
    ],
)
def test_untranslatable_field_is_refused_by_name(messages: list[Any], parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(CallRejectedError) as refusal:
        to_openai(messages, parameters)
    assert refusal.value.param == named


def offered(tools: list[Any], *blocks: dict[str, Any], **parameters: Any) -> list[str]:
    """The functions offered in a call with one message for each of these blocks."""
    turns = [{"role": "user", "content": "Hi"}, *({"role": "system", "content": [block]} for block in blocks)]
    _, translated = to_openai(turns, {"tools": tools, **parameters})
    assert ("tools" in translated) == ("tool_choice" in translated) == bool(translated.get("tools"))
    return [tool["function"]["name"] for tool in translated.get("tools", ())]


def test_deferred_tools_are_offered_after_a_tool_search_found_them() -> None:
    deferred = {**TOOL, "name": "multiply", "defer_loading": True}
    found = {"type": "tool_reference", "tool_name": "multiply"}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [found]}
    choice = {"tool_choice": {"type": "auto"}}
    assert offered([TOOL, deferred], **choice) == ["add"]
    assert offered([deferred], **choice) == []
    assert offered([TOOL, deferred], result, **choice) == ["add", "multiply"]
    [turn] = turns_of({"role": "user", "content": [result]})
    assert turn == {"role": "tool", "tool_call_id": "c1", "content": "The tool multiply is available now."}


def test_tools_are_added_and_removed_during_a_conversation() -> None:
    choice = {"tool_choice": {"type": "auto"}}
    reference = {"type": "tool_reference", "name": "add"}
    definition = {"type": "tool_definition", "definition": {**TOOL, "name": "divide"}}
    removal, addition = ({"type": f"tool_{what}", "tool": reference} for what in ("removal", "addition"))
    assert offered([TOOL], removal, **choice) == []
    assert offered([TOOL], removal, addition, **choice) == ["add"]
    assert offered([TOOL], {"type": "tool_addition", "tool": definition}, **choice) == ["add", "divide"]
    assert turns_of({"role": "system", "content": [removal, text("Less.")]}) == [
        {"role": "system", "content": [text("Less.")]}
    ]
    assert turns_of({"role": "system", "content": [removal]}) == []


def test_conversation_with_tools_round_trips() -> None:
    messages = [
        {"role": "user", "content": [text("add"), {"type": "image_url", "image_url": {"url": "https://e.org/c"}}]},
        {"role": "assistant", "content": "Adding.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
    ]
    body = to_anthropic([{"role": "system", "content": "Be brief."}, *messages], {"stop": ["END"]})
    turns = body.pop("messages")
    assert to_openai(turns, body) == ([{"role": "system", "content": "Be brief."}, *messages], {"stop": ["END"]})


def test_deepseek_gets_developer_messages_as_system_messages() -> None:
    body = openai_body("deepseek", Dialect.OPENAI, [{"role": "developer", "content": "Be brief."}], {})
    assert body["messages"] == [{"role": "system", "content": "Be brief."}]

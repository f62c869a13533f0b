"""Converting tools of the Responses API to functions and back."""

from typing import Any

import pytest

from aiinfra.gateway.v1.responses_input import messages_of, parameters_of
from aiinfra.gateway.v1.responses_tools import NAME_MAX, Tools, function_name
from aiinfra.providers.dialects.rejections import CallRejectedError

FUNCTION = {
    "type": "function",
    "name": "run",
    "description": "Runs.",
    "strict": False,
    "parameters": {"type": "object"},
}
CUSTOM = {"type": "custom", "name": "patch", "description": "Edits.", "format": {"type": "text"}}
SEARCH = {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}}
SPACE = {"type": "namespace", "name": "agents", "tools": [FUNCTION, CUSTOM]}


def tools_of(*offered: dict[str, Any]) -> Tools:
    return Tools((("parameters", "tools", index), tool) for index, tool in enumerate(offered))


def names_of(*offered: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in tools_of(*offered).functions]


def test_function_is_unchanged() -> None:
    [tool] = tools_of(FUNCTION).functions
    assert tool == {"type": "function", "function": {name: FUNCTION[name] for name in FUNCTION if name != "type"}}


def test_every_kind_of_tool_becomes_a_function_with_its_own_name() -> None:
    assert names_of(FUNCTION, CUSTOM, SEARCH, SPACE) == ["run", "patch", "tool_search", "agents__run", "agents__patch"]


def test_web_searches_and_duplicate_tools_are_left_out() -> None:
    assert names_of({"type": "web_search"}, {"type": "web_search_preview"}, FUNCTION, FUNCTION) == ["run"]


@pytest.mark.parametrize(
    ("tool", "named"),
    [
        ({"type": "file_search"}, "type"),
        ({"type": "tool_search", "execution": "server"}, "type"),
        ({"type": "mcp", "server_url": "https://e.org"}, "type"),
        ({"type": "function"}, "name"),
        ({"type": "namespace", "name": "a", "tools": [SPACE]}, "tools.0.type"),
        ({}, "type"),
    ],
)
def test_tool_that_the_client_cannot_run_is_refused_by_name(tool: dict[str, Any], named: str) -> None:
    with pytest.raises(CallRejectedError) as refusal:
        tools_of(tool)
    assert refusal.value.param == f"parameters.tools.0.{named}"


def test_long_names_are_truncated_and_stay_different() -> None:
    first, second = (function_name("x" * 60 + end, "space") for end in "ab")
    assert first != second
    assert len(first) == len(second) == NAME_MAX


@pytest.mark.parametrize(("text", "given"), [('{"input": "a\\nb"}', "a\nb"), ("no JSON", "no JSON"), ("[1]", "[1]")])
def test_custom_tool_gets_its_text_when_the_model_wrote_no_object(text: str, given: str) -> None:
    assert tools_of(CUSTOM).called("patch").arguments(text) == {"input": given}


def test_calls_and_their_results_become_turns() -> None:
    messages, _ = messages_of(
        None,
        [
            {"type": "additional_tools", "role": "developer", "tools": [FUNCTION]},
            {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "x", "namespace": "agents"},
            {"type": "tool_search_call", "call_id": "c2", "arguments": {"query": "q"}, "execution": "client"},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done."},
            {"type": "tool_search_output", "call_id": "c2", "tools": []},
        ],
    )
    calls = [(call["id"], *call["function"].values()) for call in messages[0]["tool_calls"]]
    assert calls == [("c1", "agents__patch", '{"input": "x"}'), ("c2", "tool_search", '{"query": "q"}')]
    assert [(turn["tool_call_id"], turn["content"]) for turn in messages[1:]] == [("c1", "Done."), ("c2", "[]")]


@pytest.mark.parametrize(
    ("item", "named"),
    [
        ({"content": "Hi"}, "role"),
        ({"type": "function_call", "call_id": "c", "name": "run", "arguments": {}}, "arguments"),
        ({"type": "custom_tool_call", "call_id": "c", "name": "run"}, "input"),
        ({"type": "tool_search_call", "arguments": {}}, "call_id"),
        ({"type": "tool_search_output", "call_id": "c"}, "tools"),
        ({"type": "local_shell_call", "call_id": "c"}, "type"),
    ],
)
def test_incomplete_item_is_refused_by_name(item: dict[str, Any], named: str) -> None:
    with pytest.raises(CallRejectedError) as refusal:
        messages_of(None, [item])
    assert refusal.value.param == f"input.0.{named}"


def test_images_of_tool_outputs_follow_in_a_user_message() -> None:
    image = {"type": "input_image", "image_url": "https://e.org/c"}
    outputs = [
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "Seen."}, image]},
        {"type": "function_call_output", "call_id": "c2", "output": [image]},
        {"type": "custom_tool_call_output", "call_id": "c3", "output": "Done."},
    ]
    messages, origins = messages_of("Look.", [*outputs, {"role": "user", "content": "So?"}])
    assert [turn["content"] for turn in messages if turn["role"] == "tool"] == [
        "Seen.",
        "The result is in the next message.",
        "Done.",
    ]
    assert [turn["role"] for turn in messages] == ["system", "tool", "tool", "tool", "user", "user"]
    assert [part["type"] for part in messages[4]["content"]] == ["text", "image_url"] * 2
    assert origins[1:] == [("input", index) for index in (0, 1, 2, 2, 3)]
    assert messages_of(None, outputs[:2])[0][-1]["role"] == "user"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"reasoning": {"effort": "low", "mode": "x"}}, "reasoning.mode"),
        ({"text": {"format": {"type": "text"}, "voice": "x"}}, "text.voice"),
        ({"prompt": {"id": "p"}}, "prompt"),
    ],
)
def test_unsupported_parameter_is_refused_by_name(given: dict[str, Any], named: str) -> None:
    with pytest.raises(CallRejectedError) as refusal:
        parameters_of(given, [])
    assert refusal.value.param == f"parameters.{named}"


def test_parameters_without_effect_are_left_out() -> None:
    given = {
        "include": ["reasoning.encrypted_content"],
        "top_logprobs": 0,
        "truncation": "auto",
        "max_tool_calls": 3,
    }
    assert parameters_of({**given, "prompt_cache_retention": "24h"}, []) == {"prompt_cache_retention": "24h"}


def test_tool_parameters_are_left_out_without_tools() -> None:
    given = {"tool_choice": "auto", "parallel_tool_calls": False, "top_p": 1}
    assert parameters_of(given, []) == {"top_p": 1}
    functions = tools_of(FUNCTION).functions
    assert parameters_of(given, functions) == {**given, "tools": functions}


@pytest.mark.parametrize(
    ("choice", "name"),
    [({"type": "custom", "name": "patch"}, "patch"), ({"type": "function", "name": "a", "namespace": "b"}, "b__a")],
)
def test_tool_choice_names_the_function(choice: dict[str, Any], name: str) -> None:
    parameters = parameters_of({"tool_choice": choice}, tools_of(FUNCTION).functions)
    assert parameters["tool_choice"] == {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_choice_among_some_tools_names_their_functions(mode: str) -> None:
    some = [{"type": "function", "name": "a", "namespace": "b"}, {"type": "custom", "name": "patch"}]
    choice = {"type": "allowed_tools", "mode": mode, "tools": some}
    names = [{"type": "function", "function": {"name": name}} for name in ("b__a", "patch")]
    assert parameters_of({"tool_choice": choice}, tools_of(FUNCTION).functions)["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {"mode": mode, "tools": names},
    }


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        ({"type": "web_search"}, "type"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"type": "allowed_tools", "mode": "auto"}, "tools"),
    ],
)
def test_tool_run_by_the_provider_cannot_be_chosen(choice: dict[str, Any], named: str) -> None:
    with pytest.raises(CallRejectedError) as refusal:
        parameters_of({"tool_choice": choice}, [])
    assert refusal.value.param == f"parameters.tool_choice.{named}"

"""Tool calls and JSON answers of the sandbox, as its clients see them."""

import json
import uuid
from typing import Any

import anthropic
import jsonschema_rs
import openai
import pytest

from aiinfra.providers.sandbox.schema_examples import example_of
from tests.providers.conftest import SandboxClient
from tests.providers.sandbox_calls import CHAT, MESSAGES, question

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}
FUNCTION: dict[str, Any] = {"type": "function", "function": {"name": "add", "parameters": SCHEMA}}
TOOL: dict[str, Any] = {"name": "add", "input_schema": SCHEMA}
PROMPT = 'Call add with {"a": 1, "b": 2} and then call add with {"a": 3, "b": 4}.'


def called(sandbox: SandboxClient, messages: list[dict[str, Any]], **more: Any) -> list[tuple[str, Any]]:
    """The names and arguments of the answer's tool calls."""
    message = sandbox.post(CHAT, question(tools=[FUNCTION], messages=messages, **more)).json()["choices"][0]["message"]
    functions = [call["function"] for call in message.get("tool_calls", ())]
    return [(each["name"], json.loads(each["arguments"])) for each in functions]


def test_each_turn_makes_the_next_call_in_the_prompt(sandbox: SandboxClient) -> None:
    turns: list[dict[str, Any]] = [{"role": "user", "content": PROMPT}]
    result = {"role": "tool", "tool_call_id": "c1", "content": "3"}
    assert called(sandbox, turns) == [("add", {"a": 1, "b": 2})]
    assert called(sandbox, [*turns, result]) == [("add", {"a": 3, "b": 4})]
    assert called(sandbox, [*turns, result, result]) == []


def test_required_tool_is_called_with_an_example_and_others_are_not(
    sandbox: SandboxClient,
) -> None:
    hello = [{"role": "user", "content": "Hello"}]
    named = {"type": "function", "function": {"name": "add"}}
    assert called(sandbox, hello, tool_choice="required") == [("add", {"a": 1, "b": 1})]
    assert called(sandbox, hello, tool_choice=named) == [("add", {"a": 1, "b": 1})]
    assert called(sandbox, [{"role": "user", "content": PROMPT}], tool_choice="none") == []
    assert called(sandbox, [{"role": "user", "content": 'Call divide with {"a": 1}'}]) == []
    assert called(sandbox, [{"role": "user", "content": "Call add with {broken"}]) == []


def test_tool_call_longer_than_the_limit_is_truncated(sandbox: SandboxClient) -> None:
    body = question(tools=[FUNCTION], messages=[{"role": "user", "content": PROMPT}], max_tokens=2)
    assert sandbox.post(CHAT, body).json()["choices"][0]["finish_reason"] == "length"


def test_openai_client_can_read_the_streamed_tool_call(sandbox: SandboxClient) -> None:
    attempt_id = uuid.uuid4()
    client = openai.OpenAI(api_key="k", base_url=f"{sandbox.url}/openai/v1", max_retries=0)
    body = question(tools=[FUNCTION], messages=[{"role": "user", "content": PROMPT}])
    more: Any = {"stream_options": {"include_usage": True}, "extra_headers": {"X-Attempt-Id": str(attempt_id)}}
    with client.chat.completions.stream(**body, **more) as stream:
        whole = stream.get_final_completion()
    [call] = whole.choices[0].message.tool_calls or ()
    assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"a": 1, "b": 2})
    assert whole.choices[0].finish_reason == "tool_calls" and whole.usage is not None
    assert whole.usage.completion_tokens == sandbox.bills(attempt_id)[0]["usage"]["output"] > 0


def test_anthropic_client_can_read_the_tool_call(sandbox: SandboxClient) -> None:
    client = anthropic.Anthropic(api_key="k", base_url=f"{sandbox.url}/anthropic", max_retries=0)
    body: Any = {
        "model": "claude",
        "max_tokens": 100,
        "tools": [TOOL],
        "messages": [{"role": "user", "content": PROMPT}],
    }
    with client.messages.stream(**body) as stream:
        streamed = stream.get_final_message()
    for message in (client.messages.create(**body), streamed):
        [block] = message.content
        assert block.type == "tool_use" and (block.name, block.input) == ("add", {"a": 1, "b": 2})
        assert message.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": "t", "content": "3"}
    body["messages"] += [{"role": "user", "content": [result, {"type": "text", "text": "Go on."}]}]
    [block] = client.messages.create(**body).content
    assert block.type == "tool_use" and block.input == {"a": 3, "b": 4}


@pytest.mark.parametrize(
    ("path", "form"),
    [
        (CHAT, {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}}),
        (MESSAGES, {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
    ],
)
def test_answer_matches_its_schema(sandbox: SandboxClient, path: str, form: dict[str, Any]) -> None:
    answer = sandbox.post(path, question(**form)).json()
    text = answer["content"][0]["text"] if path == MESSAGES else answer["choices"][0]["message"]["content"]
    assert json.loads(text) == {"a": 1, "b": 1}


def test_json_object_format_returns_an_object(sandbox: SandboxClient) -> None:
    answer = sandbox.post(CHAT, question(response_format={"type": "json_object"})).json()
    assert json.loads(answer["choices"][0]["message"]["content"]) == {"answer": "sandbox"}


NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "all": {"$ref": "#/$defs/nodes"}}}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        {"type": "string", "minLength": 9, "maxLength": 12},
        {"type": "string", "format": "date-time"},
        {"type": "integer", "exclusiveMinimum": 0, "maximum": 5},
        {"type": "number", "maximum": -2},
        {"type": "integer", "minimum": 40},
        {"enum": ["x", "y"]},
        {"const": 7},
        {"type": ["null", "boolean"]},
        {"type": "null"},
        {"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "string"}, "minItems": 2}]},
        {"type": "array", "maxItems": 0},
        {"$ref": "#/$defs/a", "$defs": {"a": SCHEMA}},
        {"$ref": "#/$defs/node", "$defs": {"node": {**NODE, "required": ["all"]}, "nodes": {"type": "array"}}},
        {
            "$ref": "#/$defs/nodes",
            "$defs": {
                "nodes": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "node": {**NODE, "required": ["all"]},
            },
        },
    ],
    ids=str,
)
def test_examples_match_their_schema(schema: Any) -> None:
    jsonschema_rs.validate(schema, example_of(schema))

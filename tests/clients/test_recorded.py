"""Recorded requests of coding agents and libraries."""

import json
from typing import Any

import pytest

from aiinfra.tenants.scope import system_scope
from queue_app.models import RequestContent
from queue_app.packing import unpack
from tests.clients.agent_shapes import APPLY_PATCH, CLAUDE_CODE, CODEX, PATCH, codex
from tests.clients.framework_shapes import AIDER, DSPY, HAYSTACK, LLAMA_INDEX, MIRASCOPE, PYDANTIC_AI
from tests.clients.library_shapes import LANGCHAIN, LLM, NODE
from tests.clients.open_agent_shapes import CONTINUE, OPENCODE
from tests.clients.shapes import Shape, events_of
from tests.gateway.stepwise import MODEL, Stepwise

pytestmark = pytest.mark.django_db(transaction=True)
CLIENTS = {
    "Claude Code": CLAUDE_CODE,
    "Codex": CODEX,
    "Continue": CONTINUE,
    "DSPy": DSPY,
    "Haystack": HAYSTACK,
    "LangChain": LANGCHAIN,
    "LlamaIndex": LLAMA_INDEX,
    "Mirascope": MIRASCOPE,
    "Node": NODE,
    "Pydantic AI": PYDANTIC_AI,
    "aider": AIDER,
    "llm": LLM,
    "opencode": OPENCODE,
}
OBJECTS = {"chat.completion", "list", "message", "response"}


@pytest.mark.parametrize("client", CLIENTS)
def test_every_recorded_request_is_answered(product: str, key: str, client: str) -> None:
    for shape in CLIENTS[client]:
        response = shape.send(product, key)
        assert response.status_code == 200, (shape.name, response.text)
        if shape.body.get("stream"):
            assert events_of(response), shape.name
        else:
            answer = response.json()
            assert answer.get("object", answer.get("type")) in OBJECTS, shape.name


def test_claude_codes_parameters_are_stored_unchanged(product: str, key: str) -> None:
    [shape, *_] = CLAUDE_CODE
    assert shape.send(product, key).status_code == 200
    with system_scope():
        call = unpack(RequestContent.objects.get().call)
    read = {"model", "messages", "max_tokens", "stream"}
    assert call["messages"] == shape.body["messages"]
    assert call["parameters"] == {name: value for name, value in shape.body.items() if name not in read}
    assert call["headers"]["anthropic-beta"] == shape.headers["anthropic-beta"]


def test_codex_gets_calls_of_all_kinds_of_tools(product: str, key: str, stepwise: Stepwise) -> None:
    """The model calls the functions that represent them."""
    called = [
        ("exec_command", {"cmd": "ls"}),
        ("apply_patch", {"input": PATCH}),
        ("multi_agent_v1__spawn_agent", {"cmd": "x"}),
        ("tool_search", {"query": "calendar"}),
    ]
    for index, (name, arguments) in enumerate(called):
        first, second = (text := json.dumps(arguments))[:5], text[5:]
        begun = {"id": f"c{index}", "type": "function", "function": {"name": name, "arguments": first}}
        _send_delta(stepwise, tool_calls=[{"index": index, **begun}])
        _send_delta(stepwise, tool_calls=[{"index": index, "function": {"arguments": second}}])
    stepwise.finish("tool_calls")
    shape = Shape("Codex", "/v1/responses", codex(model=MODEL))
    events = events_of(shape.send(product, key))

    items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [(item["type"], item.get("name"), item.get("namespace"), _input_of(item)) for item in items] == [
        ("function_call", "exec_command", None, json.dumps({"cmd": "ls"})),
        ("custom_tool_call", "apply_patch", None, PATCH),
        ("function_call", "spawn_agent", "multi_agent_v1", json.dumps({"cmd": "x"})),
        ("tool_search_call", None, None, {"query": "calendar"}),
    ]
    assert events[-1]["response"]["output"] == items
    [sent] = stepwise.bodies
    functions = {tool["function"]["name"]: tool["function"] for tool in sent["tools"]}
    assert functions.keys() == {name for name, _ in called} | {"multi_agent_v1__close_agent"}
    assert APPLY_PATCH["format"]["definition"] in functions["apply_patch"]["description"]


def _send_delta(stepwise: Stepwise, **delta: Any) -> None:
    stepwise.send(choices=[{"index": 0, "delta": delta, "finish_reason": None}])


def _input_of(item: dict[str, Any]) -> Any:
    return item["input"] if item["type"] == "custom_tool_call" else item["arguments"]

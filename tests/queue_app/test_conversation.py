"""Prompts and answers on the request page."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.tenants.models import User
from queue_app.models import AIRequest
from queue_app.pages.conversation import Block, Turn, answer_blocks, other_parameters, tools_of, turns_of
from tests.providers.dialects.calls import CALLS, VALUES, changed, places

IMAGE = "data:image/png;base64," + "A" * 4096
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
INPUT = '{\n  "a": 1\n}'


@pytest.mark.parametrize(
    ("message", "blocks"),
    [
        ({"content": "Hi."}, [Block("Hi.")]),
        ({"content": None, "tool_calls": [CALL]}, [Block(INPUT, "Calls add", is_code=True)]),
        ({"content": "7", "tool_call_id": "c1"}, [Block("7", "Result of c1")]),
        ({"content": [{"type": "image_url", "image_url": {"url": IMAGE}}]}, [Block("image/png, 3.0 KiB", "Image")]),
        (
            {"content": [{"type": "image_url", "image_url": {"url": "https://e.org/c"}}]},
            [Block("https://e.org/c", "Image")],
        ),
        (
            {"content": [{"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}]},
            [Block(INPUT, "Calls add", is_code=True)],
        ),
        (
            {"content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "7"}]}]},
            [Block("7", "Result of c1")],
        ),
        ({"content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}]}, [Block("Hm.", "Thinking")]),
        ({"content": [{"type": "future", "x": 1}]}, [Block('{\n  "type": "future",\n  "x": 1\n}', "future", True)]),
    ],
)
def test_a_turn_is_shown_by_its_parts(message: dict[str, Any], blocks: list[Block]) -> None:
    assert turns_of([{"role": "user", **message}], {}) == [Turn("user", blocks)]


def test_the_system_prompt_tools_and_parameters_are_shown() -> None:
    parameters = {"system": "Be brief.", "tools": [{"name": "add", "description": "Adds."}], "top_p": 0.5}
    assert turns_of([], parameters) == [Turn("system", [Block("Be brief.")])]
    [tool] = tools_of(parameters)
    assert (tool.name, tool.description) == ("add", "Adds.")
    assert json.loads(other_parameters(parameters)) == {"top_p": 0.5}
    assert other_parameters({"system": "x"}) == ""


def test_an_answer_is_shown_with_thinking_and_tool_calls() -> None:
    response = {"content": "x", "parts": [{"type": "thinking", "thinking": "Hm."}], "toolCalls": [CALL]}
    assert answer_blocks(response) == [Block("Hm.", "Thinking"), Block(INPUT, "Calls add", is_code=True)]


INSIDE = [(call, path) for call in CALLS.values() for path in places(call) if len(path) > 2]


@given(place=st.sampled_from(INSIDE), value=VALUES)
def test_odd_calls_of_older_versions_are_shown(place: Any, value: Any) -> None:
    call = changed(*place, value)
    messages = [message for message in call["messages"] if isinstance(message, dict)]
    assert turns_of(messages, call["parameters"])
    tools_of(call["parameters"])
    other_parameters(call["parameters"])


def test_page_shows_no_python_and_escapes_client_text(
    operator: User, client_of: Callable[[User], Client], submit: Callable[..., AIRequest]
) -> None:
    parts = [{"type": "text", "text": "What is <b>this</b>?"}, {"type": "image_url", "image_url": {"url": IMAGE}}]
    request = submit(provider="openai", model="gpt-4", messages=[{"role": "user", "content": parts}])
    page = client_of(operator).get(reverse("queue_request", args=[request.id])).text
    assert "What is &lt;b&gt;this&lt;/b&gt;?" in page
    assert "image/png, 3.0 KiB" in page
    assert "&#x27;type&#x27;" not in page and "AAAA" not in page

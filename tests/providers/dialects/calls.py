"""Calls with a value in every field that a translation reads, and the same calls with one field changed."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from aiinfra.providers.base import Dialect

IMAGE = "data:image/png;base64,AAAA"
FUNCTION = {"name": "add", "description": "Adds.", "parameters": {"type": "object"}, "strict": True}
OPENAI: dict[str, Any] = {
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": IMAGE}}],
        },
        {
            "role": "assistant",
            "content": [{"type": "refusal", "refusal": "No."}],
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
            "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "7"},
    ],
    "parameters": {
        "tools": [{"type": "function", "function": FUNCTION, "cache_control": {"type": "ephemeral"}}],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        "reasoning_effort": "low",
        "stop": ["x"],
        "top_p": 1,
        "logit_bias": {},
        "user": "u",
        "metadata": {"a": "b"},
        "output_config": {"effort": "low"},
        "thinking": {"type": "enabled", "budget_tokens": 2_000},
    },
}
ANTHROPIC: dict[str, Any] = {
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What?", "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "7"}]}],
        },
    ],
    "parameters": {
        "system": [{"type": "text", "text": "Be brief."}],
        "tools": [{"name": "add", "description": "Adds.", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "add", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 2_000},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "stop_sequences": ["x"],
        "metadata": {"user_id": "u"},
        "top_p": 0.5,
    },
}
CALLS = {Dialect.OPENAI: OPENAI, Dialect.ANTHROPIC: ANTHROPIC}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
)
"""Any JSON value."""


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value inside a value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield (*path, name)
        yield from places(child, (*path, name))


def changed(call: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    copy = deepcopy(call)
    holder: Any = copy
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return copy

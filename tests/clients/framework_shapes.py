"""Requests of agent frameworks that the tests do not install, reduced to their structure.

Recorded with a local server: `llama-index-llms-openai` 0.8.3, `haystack-ai` 3.4.1 with `anthropic-haystack` 8.0.1,
`pydantic-ai` 2.68.0, `mirascope` 2.8.2, `dspy` 3.4.1, and `aider` 0.86.2.
"""

from typing import Any

from tests.clients.library_shapes import ANSWERED, CHAT, MODEL, QUESTION, RESPONSES, SCHEMA, Object
from tests.clients.shapes import Shape

MESSAGES = "/v1/messages"
CLAUDE = "claude-haiku-4-5"
STRICT: Object = {**SCHEMA, "additionalProperties": False}
ADD: Object = {"type": "function", "name": "add", "description": None, "parameters": STRICT, "strict": True}
CALLED: Object = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 1}'}
RESULT: Object = {"type": "function_call_output", "call_id": "c1", "output": "3"}
SAID: Object = {"type": "output_text", "text": "I'll add.", "annotations": [], "logprobs": None}
ITEM: Object = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [SAID]}
TEXT: Object = {"type": "text", "text": "How do I plan a garden?"}
UNSET: Object = dict.fromkeys(
    ("include", "instructions", "max_output_tokens", "metadata", "previous_response_id", "user")
)


def _responses(name: str, *items: Object, **more: Any) -> Shape:
    return Shape(name, RESPONSES, {"model": MODEL, "input": [*QUESTION, *items], **more})


def _claude(name: str, path: str = MESSAGES, **more: Any) -> Shape:
    messages = [{"role": "user", "content": [TEXT]}]
    return Shape(name, path, {"model": CLAUDE, "max_tokens": 8192, "messages": messages, **more})


LLAMA_INDEX = [
    _responses("LlamaIndex, responses", **UNSET, store=False, stream=False, tools=[], truncation="disabled", top_p=1.0),
    _responses(
        "LlamaIndex, agent",
        {"role": "assistant", "content": "I'll add."},
        CALLED,
        RESULT,
        **UNSET,
        store=False,
        stream=True,
        tools=[ADD],
        tool_choice="auto",
        parallel_tool_calls=True,
    ),
]
HAYSTACK = [
    Shape("Haystack, tools", CHAT, {"model": MODEL, "messages": ANSWERED, "stream": False, "n": 1}),
    _claude("Haystack, Claude", stream=False, system=[], tools=[]),
]
PYDANTIC_AI = [
    _responses("Pydantic AI, tools", CALLED, RESULT, stream=False, tools=[ADD], tool_choice="auto"),
    _claude(
        "Pydantic AI, Claude",
        f"{MESSAGES}?beta=true",
        stream=True,
        tool_choice={"type": "auto"},
        tools=[{"name": "add", "description": "", "input_schema": STRICT}],
    ),
]
MIRASCOPE = [
    _responses("Mirascope, tools", ITEM, {**CALLED, "id": "fc_1", "status": "completed"}, RESULT, tools=[ADD]),
    _claude(
        "Mirascope, Claude",
        f"{MESSAGES}?beta=true",
        tools=[{"name": "add", "input_schema": STRICT, "strict": True, "cache_control": {"type": "ephemeral"}}],
    ),
]
DSPY = [
    _responses(
        "DSPy, output",
        stream=False,
        instructions="Answer.",
        text={"format": {"type": "json_schema", "name": "Outputs", "schema": STRICT, "strict": True}},
    ),
    _claude("DSPy, Claude", stream=False, system="Answer."),
]
AIDER = [
    Shape(
        "aider, edit",
        CHAT,
        {
            "model": MODEL,
            "messages": [
                {"role": "system", "content": "Be brief."},
                *QUESTION,
                {"role": "assistant", "content": "Ok."},
                *QUESTION,
                {"role": "system", "content": "Use blocks."},
            ],
            "stream": True,
            "temperature": 0,
        },
    )
]

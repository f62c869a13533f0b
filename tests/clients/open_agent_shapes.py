"""Requests of opencode and Continue, reduced to their structure.

Recorded with a proxy in front of aiinfra: opencode 1.18.33 with its providers `@ai-sdk/openai-compatible`,
`@ai-sdk/anthropic`, and `@ai-sdk/openai`, and Continue's CLI 1.5.47 with the provider `openai`. The texts, IDs, and
schemas are made up.
"""

from typing import Any

from tests.clients.shapes import Shape

Object = dict[str, Any]

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
GPT, CLAUDE = "gpt-4", "claude-haiku-4-5"
TITLED: list[Object] = [
    {"role": "system", "content": "You generate titles."},
    {"role": "user", "content": "Generate a title for this conversation:\n"},
    {"role": "user", "content": '"Say hello"'},
]
TURNS: list[Object] = [{"role": "system", "content": "You are an agent."}, {"role": "user", "content": "Say hello"}]
USAGE: Object = {"stream": True, "stream_options": {"include_usage": True}}
MOST = 9007199254740991
BASH_SCHEMA: Object = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "command": {"type": "string", "description": "The command."},
        "timeout": {"minimum": -MOST, "exclusiveMinimum": 0, "type": "integer", "maximum": MOST},
    },
    "required": ["command"],
}
BASH: Object = {"name": "bash", "description": "Runs a command."}
SESSION = {"x-session-id": "ses_0123", "x-session-affinity": "ses_0123"}
ANTHROPIC_HEADERS = {
    **SESSION,
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "structured-outputs-2025-11-13",
}
CACHED: Object = {"cache_control": {"type": "ephemeral"}}


def _messages(model: str) -> Object:
    return {
        "model": model,
        "max_tokens": 4_000,
        "system": [{"type": "text", "text": "You are an agent.", **CACHED}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Say hello", **CACHED}]}],
        "tools": [{**BASH, "input_schema": BASH_SCHEMA, "eager_input_streaming": True}],
        "tool_choice": {"type": "auto"},
        "stream": True,
    }


OPENCODE = [
    Shape("title", CHAT, {"model": GPT, "max_tokens": 4_000, "messages": TITLED, **USAGE}, SESSION),
    Shape(
        "turn",
        CHAT,
        {
            "model": GPT,
            "max_tokens": 4_000,
            "messages": TURNS,
            "tools": [{"type": "function", "function": {**BASH, "parameters": BASH_SCHEMA}}],
            "tool_choice": "auto",
            **USAGE,
        },
        SESSION,
    ),
    Shape("message", MESSAGES, _messages(CLAUDE), ANTHROPIC_HEADERS),
    Shape("translated message", MESSAGES, _messages(GPT), ANTHROPIC_HEADERS),
    Shape(
        "response",
        RESPONSES,
        {
            "model": GPT,
            "input": [
                {"role": "system", "content": "You are an agent."},
                {"role": "user", "content": [{"type": "input_text", "text": "Say hello"}]},
            ],
            "store": False,
            "prompt_cache_key": "ses_0123",
            "tools": [
                {"type": "function", **BASH, "parameters": {"type": "object", "properties": {}}, "strict": False}
            ],
            "tool_choice": "auto",
            "stream": True,
        },
        {**SESSION, "originator": "opencode", "session-id": "ses_0123"},
    ),
]
READ: Object = {
    "type": "function",
    "function": {
        "name": "Read",
        "description": "Reads a file.",
        "parameters": {"type": "object", "required": ["filepath"], "properties": {"filepath": {"type": "string"}}},
    },
}
CONTINUE = [
    Shape(
        "turn",
        CHAT,
        {"model": GPT, "messages": TURNS, "tools": [READ], **USAGE},
        {"x-stainless-lang": "js", "x-stainless-retry-count": "0"},
    )
]

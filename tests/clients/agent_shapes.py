"""Requests of coding agents, reduced to their structure.

Recorded with a local server: Claude Code 2.1.332, and Codex 0.171.0 with a custom provider in `config.toml`. The
texts, IDs, and schemas are made up.
"""

from typing import Any

from tests.clients.shapes import Shape

Object = dict[str, Any]

CACHED: Object = {"cache_control": {"type": "ephemeral"}}
READ: Object = {
    "name": "Read",
    "description": "Reads a file.",
    "input_schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"file_path": {"type": "string"}, "limit": {"type": "integer", "exclusiveMinimum": 0}},
        "required": ["file_path"],
        "additionalProperties": False,
    },
}
USER = '{"device_id":"0123456789abcdef0123456789abcdef0123456789abcdef","account_uuid":"","session_id":"0123"}'


def _said(text: str, **more: Any) -> Object:
    return {"type": "text", "text": text, **more}


WEB_FETCH: Object = {**READ, "name": "WebFetch", "description": "Fetches a page.", "defer_loading": True}
PLACEHOLDER: Object = {
    **READ,
    "name": "DeferredToolPlaceholder",
    "description": "Never call it.",
    "defer_loading": True,
}
EFFORT: Object = {"effort": "medium"}


def _claude_code(model: str, *turns: Object) -> Object:
    asked = [_said("<system-reminder>\nSkills: none.\n</system-reminder>"), _said("Read a.txt")]
    environment = [_said("# Environment\nPlatform: linux", **CACHED)]
    return {
        "model": model,
        "messages": [
            {"role": "user", "content": asked},
            {"role": "system", "content": environment, "output_config": EFFORT},
            *turns,
        ],
        "system": [_said("cc_version=2.1.332;"), _said("You are an agent.", **CACHED), _said("Be brief.", **CACHED)],
        "tools": [READ, WEB_FETCH, PLACEHOLDER],
        "metadata": {"user_id": USER},
        "max_tokens": 32_000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": EFFORT,
        "stream": True,
    }


CLAUDE_CODE_HEADERS = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
    "per-turn-control-2026-07-01,mid-conversation-tool-changes-2026-07-01,thinking-token-count-2026-05-13,"
    "advanced-tool-use-2025-11-20,effort-2025-11-24",
    "anthropic-dangerous-direct-browser-access": "true",
    "x-app": "cli",
    "x-claude-code-session-id": "0123",
    "x-stainless-retry-count": "0",
}
USED: Object = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"file_path": "/a.txt"}}
RESULT: Object = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "1\thello", **CACHED}
SEARCHED: Object = {"type": "tool_use", "id": "toolu_2", "name": "ToolSearch", "input": {"query": "select:WebFetch"}}
FOUND: Object = {
    "type": "tool_result",
    "tool_use_id": "toolu_2",
    "content": [{"type": "tool_reference", "tool_name": "WebFetch"}],
}
TURNS: dict[str, tuple[Object, ...]] = {
    "first turn": (),
    "tool result": ({"role": "assistant", "content": [USED]}, {"role": "user", "content": [RESULT]}),
    "tool search": (
        {"role": "assistant", "content": [SEARCHED]},
        {"role": "user", "content": [FOUND, _said("Tool loaded.", **CACHED)]},
    ),
}
CLAUDE_CODE = [
    Shape(f"Claude Code, {model}, {name}", "/v1/messages?beta=true", _claude_code(model, *turns), CLAUDE_CODE_HEADERS)
    for model in ("claude-haiku-4-5", "deepseek-chat")
    for name, turns in TURNS.items()
]


def function(name: str) -> Object:
    """A function tool of Codex."""
    parameters = {
        "type": "object",
        "properties": {"cmd": {"type": "string"}, "yield_time_ms": {"type": "number"}},
        "required": ["cmd"],
        "additionalProperties": False,
    }
    return {"type": "function", "name": name, "description": "Runs.", "strict": False, "parameters": parameters}


APPLY_PATCH: Object = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files. This is a FREEFORM tool.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin_patch hunk+ end_patch"},
}
AGENTS: Object = {
    "type": "namespace",
    "name": "multi_agent_v1",
    "description": "Sub-agents.",
    "tools": [function("spawn_agent"), function("close_agent")],
}
TOOL_SEARCH: Object = {
    "type": "tool_search",
    "execution": "client",
    "description": "Searches for tools.",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
}
WEB_SEARCH: Object = {"type": "web_search", "external_web_access": True, "search_content_types": ["text", "image"]}
TOOLS = [function("exec_command"), APPLY_PATCH, AGENTS, TOOL_SEARCH, WEB_SEARCH]
PATCH = "*** Begin Patch\n*** Add File: b.txt\n+hi\n*** End Patch\n"


def _message(role: str, text: str) -> Object:
    return {"type": "message", "id": f"msg_{role}", "role": role, "content": [{"type": "input_text", "text": text}]}


def codex(*items: Object, model: str = "deepseek-chat", **changes: Any) -> Object:
    """A Codex request; `items` follow the question."""
    return {
        "model": model,
        "stream": True,
        "input": [_message("developer", "You are a coding agent."), _message("user", "Read a.txt"), *items],
        "tools": TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "01a2",
        "text": {"verbosity": "low"},
        "client_metadata": {"session_id": "01a2", "x-codex-window-id": "01a2:0"},
        **changes,
    }


def _call(kind: str, number: int, **members: Any) -> Object:
    return {"type": kind, "id": f"i_{number}", "status": "completed", "call_id": f"call_{number}", **members}


CALLS: list[Object] = [
    _call("function_call", 1, name="exec_command", arguments='{"cmd": "cat a.txt"}'),
    {"type": "function_call_output", "id": "o_1", "call_id": "call_1", "output": "hello\n"},
    _call("custom_tool_call", 2, name="apply_patch", input=PATCH),
    {"type": "custom_tool_call_output", "id": "o_2", "call_id": "call_2", "output": "Success."},
    _call("function_call", 3, name="spawn_agent", namespace="multi_agent_v1", arguments='{"cmd": "x"}'),
    {"type": "function_call_output", "id": "o_3", "call_id": "call_3", "output": "agent 1"},
    _call("tool_search_call", 4, execution="client", arguments={"query": "calendar"}),
    {
        "type": "tool_search_output",
        "id": "o_4",
        "call_id": "call_4",
        "execution": "client",
        "status": "completed",
        "tools": [{"type": "namespace", "name": "calendar", "description": "", "tools": [function("list_events")]}],
    },
]
ADDED: Object = {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [AGENTS, APPLY_PATCH]}
CODEX_HEADERS = {"originator": "codex_exec", "session-id": "01a2", "x-codex-window-id": "01a2:0"}
CODEX = [
    Shape("Codex, first turn", "/v1/responses", codex(), CODEX_HEADERS),
    Shape("Codex, results of tools", "/v1/responses", codex(*CALLS), CODEX_HEADERS),
    Shape(
        "Codex, tools among the input",
        "/v1/responses",
        codex(ADDED, tools=None, parallel_tool_calls=False, reasoning={"effort": "low", "context": "all_turns"}),
        CODEX_HEADERS,
    ),
    Shape("Codex, without tools", "/v1/responses", codex(tools=[]), CODEX_HEADERS),
]

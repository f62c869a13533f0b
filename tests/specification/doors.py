"""Each write and lookup through HTTP and through Python, with values that both must refuse."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic.alias_generators import to_snake

from cache_app import create_semantic_cache
from cost_app import create_cost_optimizer
from queue_app import create_ai_request_queue
from tests.api.bad_bodies import BY_FIELD, INSIDE, LONG, NUL, NUMBER, TEXT, TURN
from tests.api.support import CACHE, COST, MESSAGES, QUEUE, enqueue_body

HALF = "\ud800"
FLAG = [None, 0, 1, "true", "", [], {}]
"""Values that are not booleans."""
TOKENS = [*NUMBER, None, -1, 1.5, 10**9 + 1, 2**63, float("nan"), float("inf")]
NAN = float("nan")
Body = dict[str, Any]
Cases = list[tuple[str, Any, str]]
"""(changed field of the body, its value, the field that the error names)"""

queue, cache, cost = create_ai_request_queue(), create_semantic_cache(), create_cost_optimizer()


@dataclass(frozen=True)
class Door:
    """One operation: a valid HTTP body and the equivalent Python call."""

    address: str
    body: Body
    call: Callable[[Body], object]
    cases: Cases
    within: dict[str, str] = field(default_factory=dict)
    """Field of the body -> Python argument that contains it."""

    def python_field(self, param: str) -> str:
        """The Python name of a field: keywords in snake_case, keys inside mappings unchanged."""
        first, dot, rest = param.partition(".")
        if first in self.within:
            return f"{self.within[first]}.{param}"
        return f"{to_snake(first)}{dot}{rest}"


def _options(body: Body, *positional: str) -> tuple[list[Any], dict[str, Any]]:
    options = {to_snake(name): value for name, value in body.items() if name not in {*positional, "action"}}
    return [body.get(name) for name in positional], {**options, "organization_id": "north"}


def _enqueue(body: Body) -> object:
    given, options = _options(body, "provider", "model", "messages")
    return queue.enqueue(*given, **options)


def _ask(body: Body) -> object:
    given, options = _options(body, "provider", "model", "messages")
    return queue.ask(*given, **options)


def _look_up(body: Body) -> object:
    given, options = _options(body, "messages", "provider", "model")
    return cache.get(*given, **options)


def _store(body: Body) -> object:
    given, options = _options(body, "messages", "response")
    return cache.set(*given, **options)


def _clear(body: Body) -> object:
    return cache.clear_by_tags(body["tags"], organization_id="north")


TRACKED = ("provider", "model", "usage")


def _track(body: Body) -> object:
    metadata = {name: value for name, value in body.items() if name not in {*TRACKED, "action"}}
    return cost.track_request("north", *[body.get(name) for name in TRACKED], metadata)


def _set_budget(body: Body) -> object:
    return cost.set_budget("north", {name: value for name, value in body.items() if name != "action"})


def _each(name: str, values: list[Any], param: str = "") -> Cases:
    return [(name, value, param or name) for value in values]


def _inside(name: str, inner: str, base: dict[str, Any], values: list[Any]) -> Cases:
    return [(name, {**base, inner: value}, f"{name}.{inner}") for value in values]


REJECTED: dict[str, Body] = {
    **{name: {name: 5} for name in ("model", "messages", "max_tokens", "temperature", "service_tier", "stream")},
    **{name: {name: {}} for name in ("web_search_options", "audio", "models", "plugins", "mcp_servers")},
    **{name: {name: 2} for name in ("n", "best_of")},
    "modalities": {"modalities": ["text", "audio"]},
    "speed": {"speed": "fast"},
    "tools": {"tools": "f"},
    "tools.0": {"tools": ["f"]},
    "tools.1.type": {"tools": [{"type": "function"}, {"type": "web_search_20260318"}]},
    "response_format.type": {"response_format": {"type": "json_schema"}},
    "a.b": {"a": {"b": NUL}},
}
"""Invalid parameter -> parameters of a call to DeepSeek that include it."""
REJECTED_PARTS = [
    ("type", {}),
    ("type", {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
    ("type", {"type": "file", "file": {"file_id": "f"}}),
    ("type", {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}),
    ("image_url.url", {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}),
    ("image_url.url", {"type": "image_url"}),
]
NAMES = {name: values for name, values in BY_FIELD.items() if name in {"provider", "model", "messages", "temperature"}}
CALL_CASES: Cases = [
    *[case for name, values in NAMES.items() for case in _each(name, values)],
    *[(name, value, param) for name in ("messages", "tags", "metadata") for value, param in INSIDE[name]],
    *_each("temperature", [NAN, float("inf"), -float("inf")]),
    *_each("model", [HALF]),
    ("messages", [{"role": "user", "content": HALF}], "messages.0.content"),
    ("metadata", {"a": NAN}, "metadata.a"),
    ("metadata", {"a": [HALF]}, "metadata.a.0"),
]
QUEUE_CASES: Cases = [
    *CALL_CASES,
    *[
        case
        for name in ("priority", "userId", "conversationId", "maxRetries", "timeout", "maxTokens", "cache")
        for case in _each(name, BY_FIELD[name])
    ],
    *_each("contextKey", [*TEXT, NUL, LONG, HALF]),
    *_each("parameters", [None, True, 5, "a", [], [1]]),
    *[("parameters", given, f"parameters.{path}") for path, given in REJECTED.items()],
    *[("messages", [{**TURN, "content": [part]}], f"messages.0.content.0.{path}") for path, part in REJECTED_PARTS],
]
QUESTION_CASES: Cases = [
    *[case for case in CALL_CASES if case[0] not in {"tags", "metadata"}],
    ("messages", [{**TURN, "role": "tool"}], "messages.0.role"),
    ("messages", [{**TURN, "content": ["a"]}], "messages.0.content"),
    *[("messages", [{**TURN, name: "x"}], f"messages.0.{name}") for name in ("name", "Role", "toolCalls")],
    *_each("maxTokens", BY_FIELD["maxTokens"]),
    *_each("contextKey", [*TEXT, NUL, LONG, HALF]),
    *_each("userId", [*TEXT, NUL, LONG, HALF]),
]
QUESTION = {"messages": MESSAGES, "provider": "deepseek", "model": "deepseek-chat"}
ANSWER = {"content": "A line."}
USAGE = {"promptTokens": 100, "completionTokens": 150}
BUDGET = {"period": "monthly", "limit": "100.00", "warningThreshold": 80}

DOORS = {
    "enqueue": Door(QUEUE, enqueue_body(), _enqueue, QUEUE_CASES),
    "ask": Door(QUEUE, enqueue_body(), _ask, [case for case in QUEUE_CASES if case[0] in {"cache", "messages"}]),
    "cache.get": Door(
        CACHE,
        {"action": "lookup", **QUESTION},
        _look_up,
        [
            *QUESTION_CASES,
            *_each("similarityThreshold", [*NUMBER, -0.1, 0, 0.49, 1.01, 5, NAN, float("inf")]),
            *_each("contextualMatch", FLAG),
        ],
    ),
    "cache.set": Door(
        CACHE,
        {"action": "store", **QUESTION, "response": ANSWER},
        _store,
        [
            *QUESTION_CASES,
            *[case for case in CALL_CASES if case[0] in {"tags", "metadata"}],
            *_each("response", [None, True, 5, "text", [], [ANSWER]]),
            *_inside("response", "content", ANSWER, [*TEXT, "", " ", NUL, HALF, "x" * 200_001]),
            *_inside("response", "role", ANSWER, [*TEXT, "user", ""]),
            *_inside("response", "finishReason", ANSWER, [*TEXT, "length", ""]),
            *_inside("response", "other", ANSWER, [1]),
            ("response", {}, "response.content"),
            (
                "response",
                {**ANSWER, "usage": {"promptTokens": -1, "completionTokens": 1}},
                "response.usage.promptTokens",
            ),
            ("response", {**ANSWER, "usage": {**USAGE, "totalTokens": 1}}, "response.usage"),
        ],
    ),
    "cache.clear_by_tags": Door(
        CACHE,
        {"action": "clear", "tags": ["a"]},
        _clear,
        [
            *_each("tags", [None, True, 5, "a", {}, {"a": "b"}, [], ["t"] * 101]),
            *[("tags", ["fine", tag], "tags.1") for tag in [*TEXT, "", "x" * 65, NUL, HALF]],
        ],
    ),
    "cost.track_request": Door(
        COST,
        {"action": "track", "provider": "deepseek", "model": "deepseek-chat", "usage": USAGE},
        _track,
        [
            *_each("provider", [*BY_FIELD["provider"], HALF]),
            *_each("model", [*BY_FIELD["model"], HALF]),
            *_each("usage", [None, True, 5, "text", [], [USAGE]]),
            *_inside("usage", "promptTokens", USAGE, TOKENS),
            *_inside("usage", "completionTokens", USAGE, TOKENS),
            *_inside("usage", "cacheReadTokens", USAGE, TOKENS),
            *_inside("usage", "reasoningTokens", USAGE, TOKENS),
            *_inside("usage", "tokens", USAGE, [1]),
            ("usage", {**USAGE, "totalTokens": 1}, "usage"),
            ("usage", {**USAGE, "cacheReadTokens": 60, "cacheWriteTokens": 60}, "usage"),
            ("usage", {**USAGE, "reasoningTokens": 151}, "usage"),
            *_each("latency", [*NUMBER, -1, 1.5, 2**31, 2**63, NAN]),
            *_each("cached", FLAG),
            *_each("success", FLAG),
            *_each("userId", [*TEXT, NUL, LONG, HALF]),
            *_each("priority", [value for value in BY_FIELD["priority"] if value is not None]),
            *_each("externalId", [value for value in [*TEXT, "", NUL, LONG, HALF] if value is not None]),
            *_each("tags", [None, True, 5, "a", {}, ["t"] * 21]),
            *[("tags", ["fine", tag], "tags.1") for tag in [*TEXT, "", "x" * 65, NUL, HALF]],
            *_each("at", ["", "soon", "2026-01-31", "2026-01-31T23:00:00", 5, True, [], {}, NUL]),
            *_each("other", [1]),
        ],
        within=dict.fromkeys(
            ("latency", "cached", "success", "userId", "priority", "externalId", "tags", "at", "other"), "metadata"
        ),
    ),
    "cost.set_budget": Door(
        COST,
        {"action": "set-budget", **BUDGET},
        _set_budget,
        [
            *_each("period", [*TEXT, "", "yearly", "hourly", NUL]),
            *_each("limit", [None, True, [], {}, "", "-1", "1e3", " 1", "1.0000000001", -1, 10**8, 10**30, NAN, HALF]),
            *_each("rolloverCap", [True, [], {}, "", "-1", -0.01, 10**8, NAN]),
            *_each("warningThreshold", [*NUMBER, None, 0, -1, 101, 80.5, 2**63, 96]),
            *_each("alertThreshold", [*NUMBER, None, 0, -1, 101, 80.5]),
            ("alertThreshold", 79, "warningThreshold"),
            *_each("rolloverUnused", FLAG),
            *_each("enforcement", [*TEXT, "", "stop", NUL]),
            ("other", 1, "other"),
        ],
        within=dict.fromkeys(
            (
                "period",
                "limit",
                "rolloverCap",
                "warningThreshold",
                "alertThreshold",
                "rolloverUnused",
                "enforcement",
                "other",
            ),
            "budget",
        ),
    ),
}

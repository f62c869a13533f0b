"""Requests of libraries that the tests do not install, reduced to their structure.

Recorded with a local server: `openai` 6.49.0 for Node, `langchain-openai` 1.7.4, and `llm` 0.36. Only the tokens that
`langchain-openai` sends for embeddings are written by hand, because its tokenizer is downloaded.
"""

from typing import Any

from tests.clients.shapes import Shape

Object = dict[str, Any]

CHAT, EMBEDDINGS, RESPONSES = "/v1/chat/completions", "/v1/embeddings", "/v1/responses"
QUESTION: list[Object] = [{"role": "user", "content": "How do I plan a garden?"}]
MODEL = "gpt-4"
SCHEMA: Object = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
ADD: Object = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": SCHEMA}}
CALL: Object = {"type": "function", "id": "c1", "function": {"name": "add", "arguments": '{"a": 1}'}}
ANSWERED: list[Object] = [
    *QUESTION,
    {"content": None, "role": "assistant", "tool_calls": [CALL]},
    {"content": "3", "role": "tool", "tool_call_id": "c1"},
]
PARTS: list[Object] = [
    {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
]
USAGE: Object = {"stream": True, "stream_options": {"include_usage": True}}


def _formatted(name: str, **more: Any) -> Object:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": name, "schema": SCHEMA, **more}}}


def _chat(name: str, messages: list[Object] = QUESTION, headers: dict[str, str] | None = None, **more: Any) -> Shape:
    return Shape(name, CHAT, {"model": MODEL, "messages": messages, **more}, headers or {})


NODE_HEADERS = {"user-agent": "OpenAI/JS 6.49.0", "x-stainless-lang": "js", "accept-language": "*"}
NODE = [
    _chat("Node, chat", headers=NODE_HEADERS),
    _chat("Node, stream", headers=NODE_HEADERS, **USAGE),
    _chat("Node, parts", [{"role": "user", "content": PARTS}], NODE_HEADERS, **_formatted("n", strict=True)),
    _chat("Node, runTools", headers=NODE_HEADERS, tools=[ADD], tool_choice="auto", stream=False),
    _chat("Node, runTools' result", ANSWERED, NODE_HEADERS, tools=[ADD], tool_choice="auto", stream=False),
    Shape(
        "Node, embeddings",
        EMBEDDINGS,
        {"model": "text-embedding-3-small", "input": ["a", "b"], "encoding_format": "base64"},
        NODE_HEADERS,
    ),
    Shape("Node, responses", RESPONSES, {"model": MODEL, "input": "How?", "stream": True}, NODE_HEADERS),
]
LANGCHAIN = [
    _chat("LangChain, chat", [{"content": "Be brief.", "role": "system"}, *QUESTION], stream=False, temperature=0.2),
    _chat("LangChain, stream", stream=True, temperature=0.2),
    _chat("LangChain, bind_tools", stream=False, tools=[ADD]),
    _chat("LangChain, tool message", ANSWERED, stream=False, tools=[ADD]),
    _chat("LangChain, structured output", stream=False, **_formatted("A", strict=True)),
    _chat("LangChain, parts", [{"content": PARTS, "role": "user"}], stream=False),
    Shape(
        "LangChain, embeddings",
        EMBEDDINGS,
        {"model": "text-embedding-3-small", "input": [[64], [65, 66]], "encoding_format": "base64"},
    ),
]
LLM = [
    _chat("llm, stream", **USAGE),
    _chat("llm, --no-stream", [{"role": "system", "content": "Be brief."}, *QUESTION], stream=False),
    _chat("llm, --schema", **USAGE, **_formatted("output")),
    _chat("llm, tools", tools=[ADD], **USAGE),
]

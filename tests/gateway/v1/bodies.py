"""Valid bodies of each endpoint, with a value in every field that is read."""

from collections.abc import Callable
from typing import Any

from django.test import RequestFactory

from aiinfra.api import ApiCall, ApiModel
from aiinfra.gateway.v1 import anthropic_messages, openai_chat, openai_embeddings, openai_responses
from aiinfra.gateway.v1.responses_body import ResponsesRequest
from aiinfra.tenants.authorization import Principal, Role
from aiinfra.tenants.models import Organization
from tests.api.support import COMPLETIONS, COUNT_TOKENS, EMBEDDINGS, MESSAGES_DOOR, RESPONSES
from tests.providers.dialects.calls import ANTHROPIC, OPENAI

CHAT = {
    "model": "gpt-4",
    "messages": OPENAI["messages"],
    **OPENAI["parameters"],
    "max_completion_tokens": 50,
    "temperature": 0.5,
    "service_tier": "default",
    "stream": False,
    "stream_options": {"include_usage": True},
}
MESSAGES = {
    "model": "claude-haiku-4-5",
    "messages": ANTHROPIC["messages"],
    **ANTHROPIC["parameters"],
    "max_tokens": 50,
    "stream": False,
}
RESPONSE = {
    "model": "gpt-4",
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "What?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "7"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Seven."}]},
        {"type": "custom_tool_call", "call_id": "c2", "name": "x", "namespace": "agents", "input": "y"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "z"},
        {"type": "tool_search_call", "call_id": "c3", "execution": "client", "arguments": {"query": "q"}},
        {"type": "tool_search_output", "call_id": "c3", "tools": [{"type": "function", "name": "found"}]},
        {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom", "name": "more"}]},
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://e.org/c", "detail": "low"}]},
    ],
    "tools": [
        {"type": "function", "name": "add", "description": "Adds.", "parameters": {"type": "object"}},
        {"type": "namespace", "name": "agents", "tools": [{"type": "custom", "name": "x", "format": {"type": "text"}}]},
        {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}},
    ],
    "tool_choice": {"type": "function", "name": "add"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
    "metadata": {"a": "b"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
    "stream": False,
}
EMBEDDING = {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 5, "encoding_format": "float"}

DOORS: dict[str, tuple[type[ApiModel], dict[str, Any], Callable[[ApiCall, Any], object]]] = {
    COMPLETIONS: (openai_chat.ChatCompletionRequest, CHAT, openai_chat.submission_from),
    MESSAGES_DOOR: (anthropic_messages.MessagesRequest, MESSAGES, anthropic_messages.submission_from),
    COUNT_TOKENS: (anthropic_messages.CountTokensRequest, MESSAGES, anthropic_messages.count_tokens),
    RESPONSES: (ResponsesRequest, RESPONSE, openai_responses.submission_from),
    EMBEDDINGS: (openai_embeddings.EmbeddingsRequest, EMBEDDING, openai_embeddings.submission_from),
}
"""By endpoint: its payload, a valid body, and the function that turns a payload into a call."""


def call_of(organization: Organization) -> ApiCall:
    """A call with an operator's key."""
    principal = Principal(organization.pk, organization.slug, Role.OPERATOR, "key:test", api_key_id=1)
    return ApiCall(RequestFactory().post("/"), principal, None)

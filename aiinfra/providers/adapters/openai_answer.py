"""Parses answers of servers that speak OpenAI's dialect, in all the shapes they send."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

from aiinfra.providers.adapters import errors, finish
from aiinfra.providers.adapters.cleaning import ID_LENGTH, NAME_LENGTH, clean_text, clean_tree, one_line, read_json
from aiinfra.providers.base import ChatAnswer
from aiinfra.providers.usage import of_answer, openai_usage, storable, with_tier

COMMON_FIELDS = frozenset({"role", "content", "refusal", "tool_calls", "function_call"})
"""Fields of a message that every dialect has."""
OF_CHOICE = frozenset({"index", "message", "delta", "finish_reason", "logprobs", "error", "usage"})
OF_COMPLETION = frozenset(
    {
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "service_tier",
        "system_fingerprint",
        "error",
        "obfuscation",  # random characters in chunks, which hide their length
    }
)
"""Members of a choice and of a completion that are read, or replaced by our own."""
_TEXT_PARTS = frozenset({"text", "output_text"})


def chat_answer(response: httpx2.Response, messages: Sequence[Mapping[str, Any]], api_key: str) -> ChatAnswer:
    """The answer in a success response. No error may quote `messages` or `api_key`.

    Raises ProviderError for everything that is not a clean answer.
    """
    return answer_in(read_object(response), response.headers, messages, api_key)


def answer_in(
    body: Mapping[str, Any], headers: httpx2.Headers, messages: Sequence[Mapping[str, Any]], api_key: str
) -> ChatAnswer:
    """The answer in a body that was received whole, or put together from a stream."""
    raw_usage = raw_usage_of(body)
    usage, stored = openai_usage(raw_usage, answered=False), storable(raw_usage)
    choice = _first_choice(body)
    if error := errors.error_in(body, has_answer=bool(choice)) or choice.get("error"):
        raise errors.error_in_answer(error, messages, api_key, usage, stored)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise errors.unreadable_answer(usage, stored)
    texts, refusals, others = _read_content(message.get("content"))
    if texts is None:
        raise errors.unreadable_answer(usage, stored)
    refusal = clean_text(message["refusal"]) if isinstance(message.get("refusal"), str) else refusals
    content, tool_calls = texts or refusal, _tool_calls(message)
    return finish.checked(
        ChatAnswer(
            content=content,
            finish_reason=finish.finish_reason_of(choice.get("finish_reason")),
            usage=of_answer(usage) if content or tool_calls else usage,
            raw_usage=stored,
            tool_calls=tool_calls,
            parts=others,
            refused=bool(refusal),
            provider_request_id=one_line(headers.get("x-request-id", ""), ID_LENGTH),
            model=model_in(body),
            native=_native(body, choice, message),
        )
    )


def _native(body: Mapping[str, Any], choice: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, Any]:
    """Members that only this dialect has, such as `reasoning_content`, annotations and log probabilities."""
    said = {
        "message": _others(message, COMMON_FIELDS),
        "logprobs": choice.get("logprobs"),
        "system_fingerprint": body.get("system_fingerprint"),
        "choice": _others(choice, OF_CHOICE),
        "completion": _others(body, OF_COMPLETION),
    }
    return {name: clean_tree(value) for name, value in said.items() if value}


def _others(members: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in known and value}


def model_in(body: Mapping[str, Any]) -> str:
    """The model that an answer names; empty if it names none."""
    return one_line(body["model"], NAME_LENGTH) if isinstance(body.get("model"), str) else ""


def raw_usage_of(body: Mapping[str, Any]) -> Any:
    """The usage in an answer, cleaned, with the service tier that OpenAI puts next to it."""
    return with_tier(clean_tree(body.get("usage")), clean_tree(body.get("service_tier")))


def read_object(response: httpx2.Response) -> dict[str, Any]:
    """The JSON object in a success response. Raises ProviderError (UNREADABLE_ANSWER) for anything else."""
    try:
        body = read_json(response.content)
    except ValueError:
        raise errors.unreadable_answer() from None
    if not isinstance(body, dict):
        raise errors.unreadable_answer()
    return body


def _first_choice(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The only choice that was requested; empty if there is none."""
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, Mapping) else {}


def _read_content(content: object) -> tuple[str | None, str, list[dict[str, Any]]]:
    """Text, refusal and other parts. The text is None if the content has an unknown shape."""
    if content is None or isinstance(content, str):
        return clean_text(content or ""), "", []
    parts = [content] if isinstance(content, Mapping) else content
    if not isinstance(parts, list) or not all(isinstance(part, str | Mapping) for part in parts):
        return None, "", []
    texts, refusals, others = [], [], []
    for part in parts:
        if (text := _text_of(part)) is not None:
            texts.append(clean_text(text))
        elif isinstance(part, Mapping) and isinstance(part.get("refusal"), str):
            refusals.append(clean_text(part["refusal"]))
        else:
            others.append(clean_tree(part))
    return "".join(texts), "".join(refusals), others


def _text_of(part: str | Mapping[str, Any]) -> str | None:
    if isinstance(part, str):
        return part
    text = part.get("text") if part.get("type", "text") in _TEXT_PARTS else None
    if isinstance(text, Mapping):  # with annotations next to it
        text = text.get("value")
    return text if isinstance(text, str) else None


def _tool_calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tool calls; a legacy `function_call` counts as one."""
    calls = message.get("tool_calls")
    found = [_tool_call(call, number) for number, call in enumerate(calls)] if isinstance(calls, list) else []
    if not any(found) and isinstance(message.get("function_call"), Mapping):
        found = [_tool_call({"function": message["function_call"]}, 0)]
    return [call for call in found if call]


def _tool_call(raw: object, number: int) -> dict[str, Any]:
    """A call with an id, a type, and its arguments as JSON text; empty if it is malformed."""
    call = clean_tree(raw)
    if not isinstance(call, dict):
        return {}
    function = call.get("function")
    if isinstance(function, dict):
        call["function"] = {**function, "name": _name(function.get("name")), "arguments": _arguments(function)}
    return {**call, "id": _name(call.get("id")) or f"call_{number}", "type": call.get("type") or "function"}


def _name(raw: object) -> str:
    return one_line(str(raw or ""), NAME_LENGTH)


def _arguments(function: Mapping[str, Any]) -> str:
    """JSON text; some servers send the decoded object instead."""
    arguments = function.get("arguments")
    return arguments if isinstance(arguments, str) else json.dumps({} if arguments is None else arguments)

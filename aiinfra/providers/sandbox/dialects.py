"""Requests and answers in the two dialects: OpenAI's chat completions and embeddings, Anthropic's messages."""

import hashlib
import json
import struct
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Protocol

from aiinfra.providers.base import TokenUsage
from aiinfra.providers.sandbox.exchange import BadRequestError
from aiinfra.providers.sandbox.forms import ToolCall, schema_of, tool_call
from aiinfra.providers.sandbox.model import Answer, Prompt, embed
from aiinfra.providers.tokens import count_tokens

DEFAULT_DIMENSIONS = 1536
DIMENSIONS_MAX = 4096
INPUTS_MAX = 2048

_ANTHROPIC_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
}


class Dialect(Protocol):
    """One provider's API format."""

    def prompt(self, provider: str, body: dict[str, Any]) -> Prompt:
        """Read a request. Raises BadRequestError."""
        ...

    def whole(self, prompt: Prompt, answer: Answer, *, with_usage: bool) -> dict[str, Any]:
        """The body of a plain answer."""
        ...

    def events(self, prompt: Prompt, answer: Answer, *, with_usage: bool) -> Iterator[bytes]:
        """The events of a streamed answer."""
        ...

    def error(self, status: int, message: str, param: str | None) -> dict[str, Any]:
        """The body of an error."""
        ...

    def error_event(self, message: str) -> bytes:
        """The event of an error in the middle of a stream."""
        ...


class OpenAIDialect:
    """Chat completions, with DeepSeek's extra counters for that provider."""

    def prompt(self, provider: str, body: dict[str, Any]) -> Prompt:
        """Read a chat completion request. Raises BadRequestError."""
        options = body.get("stream_options") or {}
        limit = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
        return Prompt(
            provider=provider,
            model=_string(body, "model"),
            messages=_messages(body),
            max_tokens=_limit(body, limit),
            stream=body.get("stream") is True,
            stream_usage=isinstance(options, dict) and options.get("include_usage") is True,
            caches=True,
            call=tool_call(body),
            schema=schema_of(body),
        )

    def whole(self, prompt: Prompt, answer: Answer, *, with_usage: bool) -> dict[str, Any]:
        """A chat completion."""
        message: dict[str, Any] = {"role": "assistant", "content": answer.content or None}
        if answer.call:
            message["tool_calls"] = [_function_call(prompt, answer.call.name, answer.call.arguments)]
        choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason}
        body = {**self._envelope(prompt, "chat.completion"), "choices": [choice]}
        return {**body, "usage": self._usage(prompt.provider, answer.usage)} if with_usage else body

    def events(self, prompt: Prompt, answer: Answer, *, with_usage: bool) -> Iterator[bytes]:
        """Chunks of a chat completion; the usage comes last, and only if requested."""
        envelope = self._envelope(prompt, "chat.completion.chunk")
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": word} for word in _words(answer.content)]
        if answer.call:
            deltas.append({"tool_calls": [{"index": 0, **_function_call(prompt, answer.call.name, "")}]})
            pieces = [{"index": 0, "function": {"arguments": word}} for word in _words(answer.call.arguments)]
            deltas += [{"tool_calls": [piece]} for piece in pieces]
        for delta in deltas:
            yield _event({**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        yield _event({**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": answer.finish_reason}]})
        if with_usage and prompt.stream_usage:
            yield _event({**envelope, "choices": [], "usage": self._usage(prompt.provider, answer.usage)})
        yield b"data: [DONE]\n\n"

    def error(self, status: int, message: str, param: str | None) -> dict[str, Any]:
        """An OpenAI error."""
        return {"error": {"message": message, "type": _error_type(status), "param": param, "code": None}}

    def error_event(self, message: str) -> bytes:
        """An OpenAI error as a chunk."""
        return _event(self.error(500, message, None))

    def _envelope(self, prompt: Prompt, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{_id_of(prompt)}", "object": kind, "created": int(time.time()), "model": prompt.model}

    def _usage(self, provider: str, usage: TokenUsage) -> dict[str, Any]:
        counts: dict[str, Any] = {
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.output,
            "total_tokens": usage.total,
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
        }
        cached: dict[str, Any] = {"prompt_tokens_details": {"cached_tokens": usage.cache_read}}
        if provider == "deepseek":
            cached = {"prompt_cache_hit_tokens": usage.cache_read, "prompt_cache_miss_tokens": usage.input}
        return {**counts, **cached}


class AnthropicDialect:
    """Anthropic's messages; the prompt is cached only where the request marks it with `cache_control`."""

    def prompt(self, provider: str, body: dict[str, Any]) -> Prompt:
        """Read a message request. Raises BadRequestError."""
        system = _text(body.get("system"))
        marked = '"cache_control"' in json.dumps(body)
        limit = _limit(body, "max_tokens")
        if limit is None:
            raise BadRequestError("max_tokens: Field required", "max_tokens")
        return Prompt(
            provider=provider,
            model=_string(body, "model"),
            messages=((("system", system),) if system else ()) + _messages(body),
            max_tokens=limit,
            stream=body.get("stream") is True,
            stream_usage=True,
            caches=marked,
            bills_cache_writes=True,
            call=tool_call(body),
            schema=schema_of(body),
        )

    def whole(self, prompt: Prompt, answer: Answer, *, with_usage: bool) -> dict[str, Any]:
        """A message."""
        content: list[dict[str, Any]] = [{"type": "text", "text": answer.content}] if answer.content else []
        if answer.call:
            content = [{**_tool_use(prompt, answer.call), "input": json.loads(answer.call.arguments)}]
        body = {
            **self._envelope(prompt),
            "content": content,
            "stop_reason": _ANTHROPIC_STOP_REASONS[answer.finish_reason],
        }
        return {**body, "usage": self._usage(answer.usage)} if with_usage else body

    def events(self, prompt: Prompt, answer: Answer, *, with_usage: bool) -> Iterator[bytes]:
        """The events of a streamed message."""
        usage = {"usage": {**self._usage(answer.usage), "output_tokens": 1}} if with_usage else {}
        yield _named_event("message_start", message={**self._envelope(prompt), "content": [], **usage})
        block, deltas = _pieces(prompt, answer)
        yield _named_event("content_block_start", index=0, content_block=block)
        for delta in deltas:
            yield _named_event("content_block_delta", index=0, delta=delta)
        yield _named_event("content_block_stop", index=0)
        stop = {"stop_reason": _ANTHROPIC_STOP_REASONS[answer.finish_reason], "stop_sequence": None}
        counts = {"usage": {"output_tokens": answer.usage.output}} if with_usage else {}
        yield _named_event("message_delta", delta=stop, **counts)
        yield _named_event("message_stop")

    def error(self, status: int, message: str, param: str | None) -> dict[str, Any]:
        """An Anthropic error."""
        text = f"{param}: {message}" if param else message
        return {"type": "error", "error": {"type": _error_type(status), "message": text}}

    def error_event(self, message: str) -> bytes:
        """An Anthropic error event."""
        return _named_event("error", error=self.error(500, message, None)["error"])

    def _envelope(self, prompt: Prompt) -> dict[str, Any]:
        message = {"id": f"msg_{_id_of(prompt)}", "type": "message", "role": "assistant", "model": prompt.model}
        return {**message, "stop_reason": None, "stop_sequence": None}

    def _usage(self, usage: TokenUsage) -> dict[str, Any]:
        return {
            "input_tokens": usage.input,
            "cache_creation_input_tokens": usage.cache_write,
            "cache_read_input_tokens": usage.cache_read,
            "output_tokens": usage.output,
        }


def embeddings(body: dict[str, Any]) -> tuple[str, TokenUsage, dict[str, Any]]:
    """Model, usage and body of the answer to an embeddings request. Raises BadRequestError."""
    model, inputs = _string(body, "model"), _inputs(body.get("input"))
    dimensions = _limit(body, "dimensions") or DEFAULT_DIMENSIONS
    if dimensions > DIMENSIONS_MAX:
        raise BadRequestError("too many dimensions", "dimensions")
    vectors = [embed(text if isinstance(text, str) else " ".join(map(str, text)), dimensions) for text in inputs]
    if body.get("encoding_format") == "base64":
        data: list[Any] = [b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() for vector in vectors]
    else:
        data = vectors
    tokens = sum(count_tokens(text) if isinstance(text, str) else len(text) for text in inputs)
    rows = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(data)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return model, TokenUsage(input=tokens), {"object": "list", "data": rows, "model": model, "usage": usage}


def _inputs(given: object) -> list[str | list[int]]:
    """One item per vector: a text, or its tokens."""
    inputs = [given] if isinstance(given, str) or _is_tokens(given) else given
    if not isinstance(inputs, list) or not 0 < len(inputs) <= INPUTS_MAX:
        raise BadRequestError("input must be a string, tokens, or a list of them", "input")
    if not all(isinstance(each, str) or _is_tokens(each) for each in inputs):
        raise BadRequestError("input must be a string, tokens, or a list of them", "input")
    return inputs


def _is_tokens(given: object) -> bool:
    return isinstance(given, list) and bool(given) and all(type(each) is int for each in given)


def _messages(body: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
        raise BadRequestError("messages must be a non-empty list of objects", "messages")
    return tuple((_string(message, "role"), _text(message.get("content"))) for message in messages)


def _text(content: object) -> str:
    """The text of a message's content, in any of its shapes."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_text(part.get("text") or part.get("content")) for part in content if isinstance(part, dict))
    return ""


def _string(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequestError(f"{name} must be a non-empty string", name)
    return value


def _limit(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is not None and (type(value) is not int or value < 1):
        raise BadRequestError(f"{name} must be a positive integer", name)
    return value


def _function_call(prompt: Prompt, name: str, arguments: str) -> dict[str, Any]:
    """A tool call of a chat completion."""
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_{_id_of(prompt)}", "type": "function", "function": function}


def _tool_use(prompt: Prompt, call: ToolCall) -> dict[str, Any]:
    """A tool call of a message, without its input."""
    return {"type": "tool_use", "id": f"toolu_{_id_of(prompt)}", "name": call.name, "input": {}}


def _pieces(prompt: Prompt, answer: Answer) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The only block of a streamed message: its beginning, and its deltas."""
    if answer.call:
        words = _words(answer.call.arguments)
        return _tool_use(prompt, answer.call), [{"type": "input_json_delta", "partial_json": word} for word in words]
    return {"type": "text", "text": ""}, [{"type": "text_delta", "text": word} for word in _words(answer.content)]


def _words(text: str) -> list[str]:
    words = text.split(" ")
    return [word if index == 0 else f" {word}" for index, word in enumerate(words)] if text else []


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def _named_event(name: str, **data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


def _error_type(status: int) -> str:
    names = {401: "authentication_error", 429: "rate_limit_error"}
    return names.get(status, "api_error" if status >= 500 else "invalid_request_error")


def _id_of(prompt: Prompt) -> str:
    text = json.dumps([prompt.provider, prompt.model, prompt.messages, time.time_ns()])
    return hashlib.sha256(text.encode()).hexdigest()[:24]

"""Answers of all providers as the choices of chat completion chunks, while they arrive."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from aiinfra.gateway.v1.openai_completion import THINKING
from aiinfra.providers.base import Dialect, StreamEvent
from aiinfra.providers.dialects.choosing import dialect_of
from queue_app.facade import RequestStatus

Chunk = dict[str, Any]


class ChunkSource(Protocol):
    """Converts the events of one answer to chunks. The endpoint adds their ID, model, and usage."""

    def chunks_of(self, event: StreamEvent) -> Iterable[Chunk]:
        """The chunks of one event."""
        ...

    def last_chunks(self, status: RequestStatus) -> Iterable[Chunk]:
        """The remaining chunks once the answer is complete."""
        ...


def chunk_source(provider: str) -> ChunkSource:
    """The source for the dialect that a provider speaks."""
    return AnthropicChunks() if dialect_of(provider) == Dialect.ANTHROPIC else OpenAIChunks()


class OpenAIChunks:
    """The provider's chunks, with every member unchanged."""

    def chunks_of(self, event: StreamEvent) -> Iterable[Chunk]:
        """The chunk without its usage; nothing if it is only that."""
        chunk = {name: value for name, value in event.data.items() if name != "usage"}
        is_only_usage = bool(event.data.get("usage")) and not chunk.get("choices")
        return () if is_only_usage else (chunk,)

    def last_chunks(self, status: RequestStatus) -> Iterable[Chunk]:  # noqa: ARG002 - as in the protocol
        """None: the provider has sent them all."""
        return ()


class AnthropicChunks:
    """The events of an Anthropic message as chunks: text, thinking with its signatures, and tool calls."""

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}
        """Number of the block -> number of the tool call."""
        self._without_input: set[int] = set()
        """The blocks of tool calls whose input has not begun."""
        self._thoughts: dict[int, dict[str, Any]] = {}
        """The thinking blocks in progress, by number."""

    def chunks_of(self, event: StreamEvent) -> Iterable[Chunk]:
        """The chunks of one event; unknown ones have none."""
        data = event.data
        number = data["index"] if isinstance(data.get("index"), int) else 0
        match data.get("type"):
            case "message_start":
                return [_chunk({"role": "assistant", "content": ""})]
            case "content_block_start":
                return self._begin(number, _mapping(data.get("content_block")))
            case "content_block_delta":
                return self._continue(number, _mapping(data.get("delta")))
            case "content_block_stop":
                return self._stop(number)
        return ()

    def last_chunks(self, status: RequestStatus) -> Iterable[Chunk]:
        """The finish reason."""
        return [_chunk({}, str((status.response or {}).get("finishReason")))]

    def _begin(self, number: int, block: Mapping[str, Any]) -> Iterable[Chunk]:
        kind = block.get("type")
        if kind in THINKING:
            self._thoughts[number] = dict(block)
        elif kind == "tool_use":
            self._calls[number] = len(self._calls)
            self._without_input.add(number)
            function = {"name": block.get("name"), "arguments": ""}
            call = {"index": self._calls[number], "id": block.get("id"), "type": "function", "function": function}
            return [_chunk({"tool_calls": [call]})]
        elif kind == "text" and block.get("text"):
            return [_chunk({"content": block["text"]})]
        return ()

    def _continue(self, number: int, delta: Mapping[str, Any]) -> Iterable[Chunk]:
        match delta.get("type"):
            case "text_delta":
                return [_chunk({"content": delta.get("text")})]
            case "thinking_delta":
                self._think(number, "thinking", delta)
                return [_chunk({"reasoning_content": delta.get("thinking")})]
            case "signature_delta":
                self._think(number, "signature", delta)
            case "input_json_delta" if number in self._calls and delta.get("partial_json"):
                self._without_input.discard(number)
                return [self._arguments(number, delta["partial_json"])]
        return ()

    def _stop(self, number: int) -> Iterable[Chunk]:
        if number in self._thoughts:
            return [_chunk({"thinking_blocks": [self._thoughts.pop(number)]})]
        if number in self._without_input:
            self._without_input.discard(number)
            return [self._arguments(number, "{}")]
        return ()

    def _arguments(self, number: int, text: str) -> Chunk:
        return _chunk({"tool_calls": [{"index": self._calls[number], "function": {"arguments": text}}]})

    def _think(self, number: int, name: str, delta: Mapping[str, Any]) -> None:
        block = self._thoughts.setdefault(number, {"type": "thinking"})
        block[name] = f"{block.get(name) or ''}{delta.get(name) or ''}"


def _chunk(delta: Mapping[str, Any], finish_reason: str | None = None) -> Chunk:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

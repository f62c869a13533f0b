"""Messages as streams: of answers in progress, and of completed ones."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from aiinfra import vendor_errors
from aiinfra.failures import ApiError
from aiinfra.gateway.v1 import delta_pieces
from aiinfra.gateway.v1.anthropic_message import message_from, usage_of
from aiinfra.gateway.v1.delta_pieces import Piece, PieceReader, ToolCall
from aiinfra.gateway.v1.sse import event_of
from aiinfra.gateway.v1.streaming import LiveEvents
from aiinfra.providers.base import Dialect, StreamEvent, TokenUsage
from aiinfra.providers.dialects.choosing import dialect_of
from queue_app.facade import AIRequest, RequestStatus

DELTAS = {"text": ("text", "text_delta"), "thinking": ("thinking", "thinking_delta")}
BLOCKS = {
    delta_pieces.REASONING: ("thinking", "thinking", "thinking_delta"),
    delta_pieces.TEXT: ("text", "text", "text_delta"),
    delta_pieces.REFUSAL: ("text", "text", "text_delta"),
    delta_pieces.ARGUMENTS: ("tool_use", "partial_json", "input_json_delta"),
}
"""Kind of a piece -> type of its block, its member in a delta, and the type of the delta."""
STOP = "message_stop"


class MessageStream:
    """Streams Anthropic messages."""

    keep_alive = b'event: ping\ndata: {"type":"ping"}\n\n'

    def __init__(self, http_request_id: str | None) -> None:
        self._http_request_id = http_request_id

    def live(self, request: AIRequest, provider: str, model: str) -> LiveEvents:
        """The events of an answer that this provider is sending."""
        ours = {"id": f"msg_{request.id.hex}", "model": model}
        return NativeEvents(ours) if dialect_of(provider) == Dialect.ANTHROPIC else TranslatedEvents(ours)

    def whole(self, status: RequestStatus) -> bytes:
        """All events of a completed answer."""
        return b"".join(events_of(message_from(status)))

    def error(self, error: ApiError, request: AIRequest) -> bytes:  # noqa: ARG002 - as in the protocol
        """The event of a failure, which the SDKs raise."""
        return _event("error", **vendor_errors.anthropic_body(error, self._http_request_id))


class NativeEvents:
    """Anthropic's own events as they came, but with our ID and model."""

    def __init__(self, ours: Mapping[str, Any]) -> None:
        self._ours = ours

    def pass_on(self, event: StreamEvent) -> bytes:
        """The same event. The last one waits until the call is booked."""
        kind = event.data.get("type")
        if kind == STOP:
            return b""
        if kind == "message_start" and isinstance(event.data.get("message"), Mapping):
            return event_of({**event.data, "message": {**event.data["message"], **self._ours}}, event.name)
        return event_of(event.data, event.name)

    def end(self, status: RequestStatus) -> bytes:  # noqa: ARG002 - as in the protocol
        """The last event."""
        return _event(STOP)


class TranslatedEvents:
    """Chat completion chunks as the events of a message: a block for each run of reasoning or text, and tool call."""

    def __init__(self, ours: Mapping[str, Any]) -> None:
        self._ours = ours
        self._reader = PieceReader()
        self._count = 0
        self._numbers: dict[tuple[str, int], int] = {}
        """The block that pieces of a kind, or of a tool call, continue."""
        self._open: int | None = None
        self._has_begun = False

    def pass_on(self, event: StreamEvent) -> bytes:
        """The events of one chunk."""
        begin = b"" if self._has_begun else self._begin()
        return begin + b"".join(map(self._events, self._reader.pieces_of(event.data)))

    def end(self, status: RequestStatus) -> bytes:
        """The end of the block and of the message, with the usage."""
        message = message_from(status)
        stop = {name: message[name] for name in ("stop_reason", "stop_sequence")}
        return self._close() + _event("message_delta", delta=stop, usage=message["usage"]) + _event(STOP)

    def _begin(self) -> bytes:
        self._has_begun = True
        empty: dict[str, Any] = {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_of(TokenUsage()),
        }
        return _event("message_start", message={**self._ours, "type": "message", "role": "assistant", **empty})

    def _events(self, piece: Piece) -> bytes:
        kind, name, delta = BLOCKS[piece.kind]
        key = kind, piece.call.number if piece.call else 0
        number, opened = self._numbers.get(key), b""
        if number is None or (piece.call is None and number != self._open):
            opened = self._close() + self._start(key, _empty_block(kind, piece.call))
            number = self._numbers[key]
        if not piece.text:
            return opened
        return opened + _event("content_block_delta", index=number, delta={"type": delta, name: piece.text})

    def _start(self, key: tuple[str, int], block: Mapping[str, Any]) -> bytes:
        self._open = self._numbers[key] = self._count
        self._count += 1
        return _event("content_block_start", index=self._open, content_block=block)

    def _close(self) -> bytes:
        closed = b"" if self._open is None else _event("content_block_stop", index=self._open)
        self._open = None
        return closed


def _empty_block(kind: str, call: ToolCall | None) -> dict[str, Any]:
    if call is not None:
        return {"type": kind, "id": call.id, "name": call.name, "input": {}}
    return {"type": kind, "thinking": "", "signature": ""} if kind == "thinking" else {"type": kind, "text": ""}


def events_of(message: Mapping[str, Any]) -> Iterator[bytes]:
    """A whole message as a stream: the same events that Anthropic would send, in fewer pieces."""
    started = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    yield _event("message_start", message=started)
    for index, block in enumerate(message["content"]):
        yield from _block_events(index, block)
    stop = {name: message[name] for name in ("stop_reason", "stop_sequence")}
    yield _event("message_delta", delta=stop, usage=message["usage"])
    yield _event("message_stop")


def _block_events(index: int, block: Mapping[str, Any]) -> Iterator[bytes]:
    kind = block.get("type")
    deltas: list[dict[str, Any]] = []
    start = dict(block)
    if kind in DELTAS:
        name, delta = DELTAS[str(kind)]
        start[name] = ""
        deltas.append({"type": delta, name: block[name]})
        if "signature" in block:
            start["signature"] = ""
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif kind == "tool_use":
        start["input"] = {}
        deltas.append({"type": "input_json_delta", "partial_json": json.dumps(block["input"])})
    yield _event("content_block_start", index=index, content_block=start)
    for each in deltas:
        yield _event("content_block_delta", index=index, delta=each)
    yield _event("content_block_stop", index=index)


def _event(kind: str, **data: Any) -> bytes:
    return event_of({"type": kind, **data}, kind)

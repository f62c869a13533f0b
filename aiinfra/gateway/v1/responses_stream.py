"""Responses as streams, made of chat completion chunks: of answers in progress, and of completed ones."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any

from aiinfra.failures import ApiError
from aiinfra.gateway.v1 import delta_pieces
from aiinfra.gateway.v1.chat_chunks import chunk_source
from aiinfra.gateway.v1.delta_pieces import Piece, PieceReader
from aiinfra.gateway.v1.openai_chat_stream import KEEP_ALIVE
from aiinfra.gateway.v1.openai_completion import answering_model, message_of
from aiinfra.gateway.v1.openai_response import envelope_of, response_of
from aiinfra.gateway.v1.response_items import ARGUMENTS, REASONING, REFUSAL, TEXT, Event, OutputItem, ToolCallItem
from aiinfra.gateway.v1.responses_tools import Tools
from aiinfra.gateway.v1.sse import event_of
from aiinfra.providers.base import StreamEvent
from queue_app.facade import AIRequest, RequestStatus

Encode = Callable[[Iterable[Event]], bytes]
SHAPES = {
    delta_pieces.REASONING: (REASONING, "rs", {"type": "reasoning"}),
    delta_pieces.TEXT: (TEXT, "msg", {"type": "message", "status": "completed", "role": "assistant"}),
    delta_pieces.REFUSAL: (REFUSAL, "msg", {"type": "message", "status": "completed", "role": "assistant"}),
    delta_pieces.ARGUMENTS: (ARGUMENTS, "fc", {}),
}
"""Kind of a piece -> how it is streamed, and its item: the prefix of the ID, and fixed members."""


class ResponseStream:
    """Streams one response. `asked` are the parameters of the request, `tools` its tools."""

    keep_alive = KEEP_ALIVE

    def __init__(self, asked: Mapping[str, Any], tools: Tools) -> None:
        self._asked = asked
        self._tools = tools
        self._numbers = count()

    def live(self, request: AIRequest, provider: str, model: str) -> "LiveResponse":
        """The events of an answer that this provider is sending."""
        started = {**envelope_of(request, model, self._asked), "status": "in_progress", "output": [], "usage": None}
        return LiveResponse(request, provider, started, self._tools, self._encoded)

    def whole(self, status: RequestStatus) -> bytes:
        """All events of a completed answer."""
        live = self.live(status.request, status.request.provider, answering_model(status))
        message = message_of(status.response or {})
        calls = [{**call, "index": index} for index, call in enumerate(message.get("tool_calls", ()))]
        return live.add({**message, "tool_calls": calls}) + live.end(status)

    def error(self, error: ApiError, request: AIRequest) -> bytes:
        """The event of a failed response."""
        reason = {"code": error.kind, "message": error.message}
        failed = {**envelope_of(request, request.model, self._asked), "status": "failed", "output": [], "error": reason}
        return self._encoded([("response.failed", {"response": failed})])

    def _encoded(self, events: Iterable[Event]) -> bytes:
        numbered = ((kind, {"type": kind, "sequence_number": next(self._numbers), **data}) for kind, data in events)
        return b"".join(event_of(data, kind) for kind, data in numbered)


class LiveResponse:
    """The events of one response: an item for each run of reasoning or text, and for each call of a tool."""

    def __init__(
        self, request: AIRequest, provider: str, started: Mapping[str, Any], tools: Tools, encoded: Encode
    ) -> None:
        self._name = request.id.hex
        self._started = started
        self._tools = tools
        self._encoded = encoded
        self._source = chunk_source(provider)
        self._reader = PieceReader()
        self._items: list[OutputItem] = []
        self._by_key: dict[tuple[str, int], OutputItem] = {}
        """What pieces of a kind, or of a function call, continue."""
        self._open: OutputItem | None = None
        self._has_begun = False

    def pass_on(self, event: StreamEvent) -> bytes:
        """The events of one event of the provider."""
        chunks = self._source.chunks_of(event)
        pieces = [piece for chunk in chunks for piece in self._reader.pieces_of(chunk)]
        return self._encoded([*self._beginning(), *self._events(pieces)])

    def add(self, delta: Mapping[str, Any]) -> bytes:
        """The events of a delta."""
        return self._encoded([*self._beginning(), *self._events(self._reader.pieces_in(delta))])

    def end(self, status: RequestStatus) -> bytes:
        """The end of the last item, and the whole response. One without any item gets an empty message."""
        empty = () if self._items else (Piece(delta_pieces.TEXT, ""),)
        events = [*self._events(empty), *self._closing()]
        whole = response_of(status, self._started, self._tools)
        response = {**whole, "output": [item.finished() for item in self._items]}
        return self._encoded([*events, (f"response.{response['status']}", {"response": response})])

    def _beginning(self) -> Iterator[Event]:
        if not self._has_begun:
            self._has_begun = True
            yield "response.created", {"response": self._started}
            yield "response.in_progress", {"response": self._started}

    def _events(self, pieces: Iterable[Piece]) -> Iterator[Event]:
        for piece in pieces:
            key = piece.kind, piece.call.number if piece.call else 0
            item = self._by_key.get(key)
            if item is None or (piece.call is None and item is not self._open):
                yield from self._closing()
                item = self._open = self._by_key[key] = self._new_item(piece)
                yield from item.opening()
            if piece.text:
                yield from item.delta(piece.text)

    def _closing(self) -> Iterator[Event]:
        if self._open is not None:
            yield from self._open.closing()
            self._open = None

    def _new_item(self, piece: Piece) -> OutputItem:
        shape, prefix, fixed = SHAPES[piece.kind]
        index = len(self._items)
        head = {"id": f"{prefix}_{self._name}_{index}", **fixed}
        if piece.call is None:
            item = OutputItem(shape, head, index)
        else:
            tool = self._tools.called(piece.call.name)
            head |= tool.head(piece.call.id)
            item = OutputItem(shape, head, index) if tool.kind == "function" else ToolCallItem(tool, head, index)
        self._items.append(item)
        return item

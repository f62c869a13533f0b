"""Splits the deltas of chat completion chunks into pieces of one kind each, across server variants."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

REASONING, TEXT, REFUSAL, ARGUMENTS = "reasoning", "text", "refusal", "arguments"
TEXTS = (("reasoning_content", REASONING), ("content", TEXT), ("refusal", REFUSAL))
"""Member of a delta, and the kind of its pieces."""


@dataclass(frozen=True)
class ToolCall:
    """A tool call of an answer: its running number, from 0, its ID and its function's name."""

    number: int
    id: str
    name: str


@dataclass(frozen=True)
class Piece:
    """A piece of an answer. The arguments of a tool call come with the call, also before they begin."""

    kind: str
    text: str
    call: ToolCall | None = None


class PieceReader:
    """Reads the deltas of one answer."""

    def __init__(self) -> None:
        self._calls: dict[Any, ToolCall] = {}
        """By their index in the deltas."""
        self._count = 0

    def pieces_of(self, chunk: Mapping[str, Any]) -> Iterator[Piece]:
        """The pieces of the first choice, in order."""
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        delta = choice.get("delta") if isinstance(choice, Mapping) else None
        return self.pieces_in(delta) if isinstance(delta, Mapping) else iter(())

    def pieces_in(self, delta: Mapping[str, Any]) -> Iterator[Piece]:
        """The pieces of one delta, in order."""
        for name, kind in TEXTS:
            if (text := delta.get(name)) and isinstance(text, str):
                yield Piece(kind, text)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, Mapping):
                yield self._arguments(call)

    def _arguments(self, raw: Mapping[str, Any]) -> Piece:
        """Some servers give all calls the same index: a new ID begins a new call."""
        named = raw.get("function")
        function = named if isinstance(named, Mapping) else {}
        call = self._calls.get(raw.get("index"))
        if call is None or raw.get("id") not in {None, "", call.id}:
            call = ToolCall(self._count, str(raw.get("id") or f"call_{self._count}"), str(function.get("name") or ""))
            self._calls[raw.get("index")] = call
            self._count += 1
        return Piece(ARGUMENTS, str(function.get("arguments") or ""), call)

"""Merges the events of a stream into the body that the same call would have returned without streaming."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from aiinfra.providers.base import StreamEvent

_SENT_ONCE = frozenset({"role", "id", "type", "name", "format"})
"""Members of a delta that are whole wherever they appear. Some servers repeat them in every chunk."""


_MERGED = frozenset({"index", "delta", "message", "logprobs", "usage"})
"""Members of a choice that are put together from all chunks, or belong elsewhere. Of all others, the last counts."""


class MergedBody(Protocol):
    """What a stream has sent so far."""

    size: int
    """Characters of the answer."""

    def add(self, event: StreamEvent) -> None:
        """Add one event."""
        ...

    def error(self) -> object:
        """The error that the stream reported; None if it reported none."""
        ...

    def is_whole(self) -> bool:
        """Whether the answer has a finish reason, so that only its usage can be missing."""
        ...

    def body(self) -> dict[str, Any]:
        """The body."""
        ...


class MergedChunks:
    """Chunks of OpenAI's chat completions."""

    def __init__(self) -> None:
        self.size = 0
        self._chunk: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, event: StreamEvent) -> None:
        """Add one chunk. The last value of each member counts, except those of the deltas."""
        chunk = event.data
        self._chunk.update({name: value for name, value in chunk.items() if value is not None and name != "choices"})
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, Mapping):
                self._add_choice(choice)

    def _add_choice(self, choice: Mapping[str, Any]) -> None:
        number = choice.get("index")
        known = self._choices.setdefault(number if isinstance(number, int) else 0, {"message": {}})
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, Mapping):
            self._merge(known["message"], delta)
        known.update({name: value for name, value in choice.items() if name not in _MERGED and value})
        if isinstance(choice.get("logprobs"), Mapping):
            self._merge(known.setdefault("logprobs", {}), choice["logprobs"])
        if choice.get("usage"):  # Moonshot
            self._chunk["usage"] = choice["usage"]

    def _merge(self, known: dict[str, Any], delta: Mapping[str, Any]) -> None:
        for name, value in delta.items():
            if isinstance(value, str) and name not in _SENT_ONCE:
                self.size += len(value)
                _pieces(known, name).append(value)
            elif isinstance(value, Mapping):
                self._merge(_object(known, name), value)
            elif isinstance(value, list):
                self._merge_list(_list(known, name), value)
            elif value not in {None, ""}:
                known[name] = value

    def _merge_list(self, known: list[Any], items: list[Any]) -> None:
        for item in items:
            if isinstance(item, Mapping) and ("index" in item or "function" in item):
                self._merge(_item_of(known, item), item)
            else:
                self.size += len(str(item))
                known.append(item)

    def error(self) -> object:
        """The error in a chunk."""
        return self._chunk.get("error")

    def is_whole(self) -> bool:
        """Whether the first choice has a finish reason."""
        return bool(self._choices.get(0, {}).get("finish_reason"))

    def body(self) -> dict[str, Any]:
        """A chat completion."""
        choices = [{"index": number, **_joined(choice)} for number, choice in sorted(self._choices.items())]
        for choice in choices:
            for call in _mappings(choice["message"].get("tool_calls")):
                call.pop("index", None)  # a plain answer has none
        return {**self._chunk, "choices": choices}


class _Pieces(list[str]):
    """A text in pieces, so that a long one is not copied with every chunk."""


def _pieces(known: dict[str, Any], name: str) -> list[str]:
    pieces: list[str] = known[name] if isinstance(known.get(name), _Pieces) else _Pieces()
    known[name] = pieces
    return pieces


def _object(known: dict[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(known.get(name), dict):
        known[name] = {}
    found: dict[str, Any] = known[name]
    return found


def _list(known: dict[str, Any], name: str) -> list[Any]:
    if not isinstance(known.get(name), list) or isinstance(known[name], _Pieces):
        known[name] = []
    found: list[Any] = known[name]
    return found


def _item_of(known: list[Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """The list's item that a delta continues. Servers without an index, or with one index for all, send new IDs."""
    same = [each for each in known if isinstance(each, dict) and each.get("index") == item.get("index")]
    begins = bool(item.get("id")) and _names_function(item)
    if same and not (begins and same[-1].get("id") != item["id"]):
        return same[-1]
    new: dict[str, Any] = {}
    known.append(new)
    return new


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _names_function(item: Mapping[str, Any]) -> bool:
    function = item.get("function")
    return isinstance(function, Mapping) and bool(function.get("name"))


def _joined(value: Any) -> Any:
    if isinstance(value, _Pieces):
        return "".join(value)
    if isinstance(value, dict):
        return {name: _joined(child) for name, child in value.items()}
    return [_joined(child) for child in value] if isinstance(value, list) else value


class MergedMessage:
    """Events of an Anthropic message."""

    def __init__(self) -> None:
        self.size = 0
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._texts: dict[tuple[int, str], list[str]] = {}
        self._error: object = None

    def add(self, event: StreamEvent) -> None:
        """Add one event; unknown ones are skipped, as Anthropic asks."""
        data = event.data
        match data.get("type"):
            case "message_start" if isinstance(data.get("message"), Mapping):
                self._message = dict(data["message"])
            case "content_block_start" if isinstance(data.get("content_block"), Mapping):
                self._blocks[_number(data)] = dict(data["content_block"])
            case "content_block_delta" if isinstance(data.get("delta"), Mapping):
                self._add_delta(_number(data), data["delta"])
            case "message_delta":
                self._end(data)
            case "error":
                self._error = data.get("error") or data

    def _add_delta(self, number: int, delta: Mapping[str, Any]) -> None:
        for name in ("text", "thinking", "signature", "partial_json"):
            if isinstance(delta.get(name), str):
                self.size += len(delta[name])
                self._texts.setdefault((number, name), []).append(delta[name])
        if "citation" in delta:
            self.size += len(str(delta["citation"]))
            self._blocks.setdefault(number, {}).setdefault("citations", []).append(delta["citation"])

    def _end(self, data: Mapping[str, Any]) -> None:
        """The reason, what else is known now, and the final counts: where one is missing, the first one stays."""
        self._message.update({name: value for name, value in data.items() if name not in {"type", "delta", "usage"}})
        if isinstance(data.get("delta"), Mapping):
            self._message.update(data["delta"])
        known, last = self._message.get("usage"), data.get("usage")
        if isinstance(last, Mapping):
            counts = {name: count for name, count in last.items() if count is not None}
            self._message["usage"] = {**(known if isinstance(known, Mapping) else {}), **counts}

    def error(self) -> object:
        """The error of an error event."""
        return self._error

    def is_whole(self) -> bool:
        """Whether the message has a stop reason."""
        return bool(self._message.get("stop_reason"))

    def body(self) -> dict[str, Any]:
        """A message."""
        blocks = {number: dict(block) for number, block in self._blocks.items()}
        for (number, name), pieces in self._texts.items():
            block, text = blocks.setdefault(number, {}), "".join(pieces)
            if name == "partial_json":
                block["input"] = _input(text)
            else:
                block[name] = f"{block.get(name) or ''}{text}"
        return {**self._message, "content": [blocks[number] for number in sorted(blocks)]}


def _number(data: Mapping[str, Any]) -> int:
    number = data.get("index")
    return number if isinstance(number, int) else 0


def _input(text: str) -> Any:
    """A tool's input; one that was cut off stays text."""
    try:
        return json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return text

"""The output items of a streamed response, each with the whole sequence of its events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiinfra.gateway.v1.responses_tools import ClientTool

Event = tuple[str, dict[str, Any]]
"""Its type and its data."""


@dataclass(frozen=True)
class Shape:
    """How the text of an item is streamed. `key` names the text; `part` contains it, if it is a part of the item."""

    events: str
    key: str
    within: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    part_events: str = ""
    part: Mapping[str, Any] = field(default_factory=dict)
    parts: str = ""
    """The member of the item that lists its parts."""


TEXT = Shape(
    "response.output_text",
    "text",
    {"content_index": 0},
    {"logprobs": []},
    "response.content_part",
    {"type": "output_text", "annotations": []},
    "content",
)
REFUSAL = Shape(
    "response.refusal", "refusal", {"content_index": 0}, {}, "response.content_part", {"type": "refusal"}, "content"
)
REASONING = Shape(
    "response.reasoning_summary_text",
    "text",
    {"summary_index": 0},
    {},
    "response.reasoning_summary_part",
    {"type": "summary_text"},
    "summary",
)
ARGUMENTS = Shape("response.function_call_arguments", "arguments")
CUSTOM = Shape("response.custom_tool_call_input", "input")


class OutputItem:
    """One item while its text arrives."""

    def __init__(self, shape: Shape, head: Mapping[str, Any], index: int) -> None:
        self._shape = shape
        self._head = head
        self._index = index
        self._place = {"item_id": head["id"], "output_index": index}
        self._pieces: list[str] = []

    def opening(self) -> list[Event]:
        """Its first events."""
        shape = self._shape
        empty: dict[str, Any] = {shape.parts: []} if shape.parts else {shape.key: ""}
        item = {**self._head, "status": "in_progress", **empty}
        added: list[Event] = [("response.output_item.added", {"output_index": self._index, "item": item})]
        return [*added, *self._part_event("added", "")]

    def delta(self, text: str) -> list[Event]:
        """More of its text."""
        self._pieces.append(text)
        return [self._delta(text)]

    def _delta(self, text: str) -> Event:
        return f"{self._shape.events}.delta", {**self._place, **self._shape.within, "delta": text, **self._shape.more}

    def closing(self) -> list[Event]:
        """Its last events."""
        shape, text = self._shape, "".join(self._pieces)
        named = {"name": self._head["name"]} if "name" in self._head else {}
        done = {**self._place, **shape.within, shape.key: text, **shape.more, **named}
        return [(f"{shape.events}.done", done), *self._part_event("done", text), self._ended()]

    def _ended(self) -> Event:
        return "response.output_item.done", {"output_index": self._index, "item": self.finished()}

    def finished(self) -> dict[str, Any]:
        """The item with its whole text."""
        shape, text = self._shape, "".join(self._pieces)
        whole = {shape.parts: [{**shape.part, shape.key: text}]} if shape.parts else {shape.key: text}
        return {**self._head, **whole}

    def _part_event(self, what: str, text: str) -> list[Event]:
        shape = self._shape
        if not shape.parts:
            return []
        part = {**shape.part, shape.key: text}
        return [(f"{shape.part_events}.{what}", {**self._place, **shape.within, "part": part})]


class ToolCallItem(OutputItem):
    """A call of a tool whose arguments are translated: its events follow once they are whole."""

    def __init__(self, tool: ClientTool, head: Mapping[str, Any], index: int) -> None:
        super().__init__(CUSTOM if tool.kind == "custom" else ARGUMENTS, head, index)
        self._tool = tool

    def opening(self) -> list[Event]:
        """Its first event."""
        item = {**self._head, "status": "in_progress", **self._tool.arguments("")}
        return [("response.output_item.added", {"output_index": self._index, "item": item})]

    def delta(self, text: str) -> list[Event]:
        """None yet."""
        self._pieces.append(text)
        return []

    def closing(self) -> list[Event]:
        """All others. A search has no events for its arguments."""
        if self._tool.kind != "custom":
            return [self._ended()]
        text = self.finished()["input"]
        return [self._delta(text), (f"{self._shape.events}.done", {**self._place, "input": text}), self._ended()]

    def finished(self) -> dict[str, Any]:
        """The item with its arguments."""
        return {**self._head, **self._tool.arguments("".join(self._pieces))}

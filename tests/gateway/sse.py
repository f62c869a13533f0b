"""Parses server-sent events in tests."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One event of a stream; `id` is empty if it has none."""

    id: str
    name: str
    data: dict[str, Any]


class Events:
    """The events of a body, which may be endless: `next` reads until an event is complete."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self._chunks = iter(body)
        self._text = ""
        self.comments: list[str] = []
        self.last_id = ""
        """The ID that a browser would resume from."""

    def next(self) -> Event:
        """The next event. Raises StopIteration at the end of the stream."""
        while True:
            block, separator, rest = self._text.partition("\n\n")
            if not separator:
                self._text += next(self._chunks).decode()
                continue
            self._text = rest
            if event := self._event(block):
                return event

    def take(self, number: int) -> list[Event]:
        """The next `number` events."""
        return [self.next() for _ in range(number)]

    def rest(self) -> list[Event]:
        """All events until the end of the stream."""
        events = []
        while True:
            try:
                events.append(self.next())
            except StopIteration:
                return events

    def _event(self, block: str) -> Event | None:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.strip()
            else:
                self.comments.append(value.strip())
        self.last_id = fields.get("id", self.last_id)
        if "data" not in fields:
            return None
        return Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))

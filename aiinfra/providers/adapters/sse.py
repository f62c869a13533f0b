"""Parses server-sent events, in all the forms that the standard allows."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LINE_BREAK = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True)
class ServerEvent:
    """One event: its name ("" if it has none), and its data, whose lines are joined by line feeds."""

    name: str
    data: str


def server_events(pieces: Iterable[bytes]) -> Iterator[ServerEvent]:
    """The events in the pieces of a body, wherever it is split. Comments, IDs and retry times are skipped.

    Data without the empty line that ends an event is an event too: some servers end with their last line.
    """
    name, data = "", list[str]()
    for line in _lines(pieces):
        if line:
            field, _, value = line.partition(":")
            if field == "data":
                data.append(value.removeprefix(" "))
            elif field == "event":
                name = value.removeprefix(" ")
            continue
        if data:
            yield ServerEvent(name, "\n".join(data))
        name, data = "", []
    if data:
        yield ServerEvent(name, "\n".join(data))


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Whole lines. They are decoded after splitting, so a character may be split between two pieces."""
    begun: list[bytes] = []
    ends_with_cr = False
    for received in pieces:
        piece = received[1:] if ends_with_cr and received.startswith(b"\n") else received
        ends_with_cr = received.endswith(b"\r")
        *ended, rest = _LINE_BREAK.split(piece)
        for line in ended:
            yield _decoded([*begun, line])
            begun = []
        begun.append(rest)
    if any(begun):
        yield _decoded(begun)


def _decoded(parts: list[bytes]) -> str:
    return b"".join(parts).decode("utf-8-sig", "replace")

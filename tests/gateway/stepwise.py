"""A provider that streams one event at a time, when the test says so."""

import json
import queue
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from cost_app.models import ModelPrice
from tests.support.tcp import server

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
MODEL = "local/stepwise"
USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}


@dataclass
class Stepwise:
    """Sends the items of `steps`, and closes the connection at None."""

    steps: "queue.Queue[bytes | None]" = field(default_factory=queue.Queue)
    heads: list[bytes] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n"))
            self.heads.append(head)
            length = re.search(rb"content-length: (\d+)", head.lower())
            self.bodies.append(json.loads(stream.read(int(length[1]) if length else 0)))
        try:
            connection.sendall(HEAD)
            for step in iter(self.steps.get, None):
                connection.sendall(step)
        except OSError:
            """The product has closed the connection."""

    def send(self, **data: Any) -> None:
        """Send an event."""
        self.steps.put(b"data: " + json.dumps(data).encode() + b"\n\n")

    def send_text(self, text: str) -> None:
        """Send a piece of the answer."""
        self.send(id="p1", model="their-name", choices=[{"index": 0, "delta": {"content": text}}], usage=None, extra=7)

    def finish(self, reason: str = "stop") -> None:
        """End the answer with its usage."""
        self.send(id="p1", choices=[{"index": 0, "delta": {}, "finish_reason": reason}])
        self.send(id="p1", choices=[], usage=USAGE)
        self.close_connection()

    def close_connection(self) -> None:
        """Close the connection."""
        self.steps.put(None)


@pytest.fixture
def stepwise(settings: Settings, transactional_db: None) -> Iterator[Stepwise]:
    """The provider `local`, whose model `stepwise` costs $1 per million input tokens and $10 per million output
    tokens.
    """
    provider = Stepwise()
    prices = dict.fromkeys(("input", "cache_read", "cache_write"), 10**9)
    ModelPrice.objects.create(provider="local", model="stepwise", output=10**10, source="test", **prices)
    with server(provider) as port:
        settings.COMPATIBLE_PROVIDERS = {"local": f"http://127.0.0.1:{port}/v1"}
        yield provider
        provider.close_connection()

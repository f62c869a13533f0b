"""A provider that sends exactly the bytes that a test specifies."""

import gzip
import json
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiinfra import egress
from aiinfra.providers.adapters.anthropic_messages import AnthropicAdapter
from aiinfra.providers.adapters.openai_compatible import OpenAICompatibleAdapter
from aiinfra.providers.base import ChatAnswer, ChatCall, ProviderAdapter, ProviderAttempt, ProviderError, StreamEvent
from aiinfra.providers.registry import Provider
from tests.support.tcp import server

KEY = "sk-very-secret-key"
BODY_BYTES = 1024 * 1024
CALL = ChatCall(messages=[{"role": "user", "content": "How do I plan a garden?"}], max_tokens=77, timeout_s=20)


def http(body: bytes | str | object, status: int = 200, **headers: str) -> bytes:
    """An HTTP response. A body that is neither str nor bytes is encoded as JSON."""
    text = body if isinstance(body, bytes | str) else json.dumps(body)
    raw = text if isinstance(text, bytes) else text.encode()
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {len(raw)}", *lines]
    return "\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1") + raw


def gzipped(body: bytes) -> bytes:
    """A compressed response."""
    return http(gzip.compress(body, 1), Content_Encoding="gzip")


@dataclass
class FakeServer:
    """Sends `answers` one after another and repeats the last one. Records the requests."""

    port: int = 0
    answers: list[bytes] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    def __call__(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n")).decode("latin-1")
            length = re.search(r"content-length: (\d+)", head.lower())
            self.heads.append(head)
            self.bodies.append(json.loads(stream.read(int(length[1]) if length else 0) or b"{}"))
        try:
            connection.sendall(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        except OSError:
            """The client closed the connection."""

    def will_answer(self, *answers: bytes) -> None:
        """Set the answers and clear the recorded requests."""
        self.answers[:], self.bodies[:], self.heads[:] = answers, [], []

    def adapter(self, dialect: str = "openai", name: str = "local") -> ProviderAdapter:
        """An adapter for this server, with its own client."""
        provider = Provider(name, f"http://127.0.0.1:{self.port}/v1", KEY, is_named_by_operator=True)
        client = egress.http_client(trusted_hosts=frozenset({"127.0.0.1"}), body_bytes=BODY_BYTES)
        kind = AnthropicAdapter if dialect == "anthropic" else OpenAICompatibleAdapter
        return kind(provider, client)


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    """A running fake provider."""
    fake = FakeServer()
    with server(fake) as fake.port:
        yield fake


def outcome(adapter: ProviderAdapter, call: ChatCall = CALL, model: str = "m") -> ChatAnswer | ProviderError:
    """The answer or ProviderError of a call. Any other exception is raised."""
    attempt = ProviderAttempt(id=uuid.uuid4(), organization_id=1, provider="local", model=model)
    try:
        return adapter.chat(attempt, call)
    except ProviderError as error:
        return error


def sse(*parts: bytes) -> bytes:
    """A streamed response, ended by closing the connection."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"
    return head + b"".join(parts)


def streamed(
    fake: FakeServer, *parts: bytes, dialect: str = "openai"
) -> tuple[list[StreamEvent], ChatAnswer | ProviderError]:
    """The events and the outcome of a call to a server that sends these parts."""
    fake.will_answer(sse(*parts))
    return stream_of(fake, dialect)


def stream_of(fake: FakeServer, dialect: str = "openai") -> tuple[list[StreamEvent], ChatAnswer | ProviderError]:
    attempt = ProviderAttempt(id=uuid.uuid4(), organization_id=1, provider="local", model="m")
    stream = fake.adapter(dialect).stream(attempt, CALL)
    events: list[StreamEvent] = []
    while True:
        try:
            events.append(next(stream))
        except StopIteration as end:
            return events, end.value
        except ProviderError as error:
            return events, error


def answer_of(fake: FakeServer, *parts: bytes, dialect: str = "openai") -> ChatAnswer:
    _, outcome = streamed(fake, *parts, dialect=dialect)
    assert isinstance(outcome, ChatAnswer), outcome
    return outcome


def error_of(fake: FakeServer, *parts: bytes, dialect: str = "openai") -> ProviderError:
    _, outcome = streamed(fake, *parts, dialect=dialect)
    assert isinstance(outcome, ProviderError)
    return outcome

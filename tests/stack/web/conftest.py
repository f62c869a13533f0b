"""The web server with a small application on a real port."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from aiinfra.stack.web.server import WebServer, turn
from aiinfra.stack.web.threads import Threads

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Any]


class Served:
    """A running server that accepts raw connections."""

    def __init__(self, application: Application, threads: int = 2, limit: int | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads = Threads(threads)
        self.loop: dict[int, Any] = {}
        self.server = WebServer(application, self.listener, self.threads, self.loop, lambda _: limit)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over.is_set():
            turn(self.loop, 0.01)

    def close(self) -> None:
        """Stop the loop and close every connection."""
        self._is_over.set()
        self._thread.join()
        for each in list(self.server.active_channels.values()):
            each.handle_close()
        self.threads.shutdown(timeout=1)
        self.server.trigger.close()
        self.listener.close()

    def connect(self) -> socket.socket:
        """A client socket with a timeout of one minute."""
        return socket.create_connection(("127.0.0.1", self.port), 60)

    def ask(self, text: bytes) -> bytes:
        """Send bytes and return everything received until the server closes the connection."""
        with closing(self.connect()) as client:
            client.sendall(text)
            return read_all(client)


def read_all(client: socket.socket) -> bytes:
    """Everything received until the server closes the connection."""
    received = b""
    while part := client.recv(65536):
        received += part
    return received


def echo(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    """Respond with the method, path, and body size of the request."""
    body = environ["wsgi.input"].read()
    said = {"method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"], "bytes": len(body)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(said).encode()]


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Starts servers that are stopped after the test."""
    running: list[Served] = []

    def begin(application: Application = echo, **options: Any) -> Served:
        running.append(Served(application, **options))
        return running[-1]

    yield begin
    for each in running:
        each.close()


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """A server that runs `echo`."""
    return serve()

"""A small HTTP server on loopback for a service that the product calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

POLL_S = 0.01
"""How often the server looks whether it must stop. Its own half second would be most of the time of a test."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """The port of a server that answers with `handler` until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": POLL_S})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()

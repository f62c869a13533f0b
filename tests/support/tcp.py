"""A TCP server that can behave in ways no real server would."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Recorder:
    """Sends the same response to each connection and stores the last request."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self.request = ""

    def __call__(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n"))
            length = re.search(rb"content-length: (\d+)", head.lower())
            self.request = (head + stream.read(int(length[1]) if length else 0)).decode()
        connection.sendall(self._answer.encode())


@contextmanager
def server(handler: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a single-threaded TCP server that passes every connection to `handler`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                handler(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()

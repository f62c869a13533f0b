"""A TCP proxy that can freeze connections or refuse new ones."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self


class Proxy:
    """Forwards bytes. While frozen, connections stay open but no bytes pass."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._flows = threading.Event()
        self._flows.set()
        self._is_down = False
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.thaw()
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.close()

    def freeze(self) -> None:
        """Stop forwarding."""
        self._flows.clear()

    def thaw(self) -> None:
        """Forward again, including bytes that were sent while frozen."""
        self._flows.set()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Close all connections, and close new ones immediately, as if the server were down."""
        self._is_down = True
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        try:
            yield
        finally:
            self._is_down = False

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_down:
                    client.close()
                    continue
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(65536):
                self._flows.wait()
                target.sendall(part)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

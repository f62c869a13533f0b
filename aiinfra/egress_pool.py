"""A connection pool for an HTTP client."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpcore2


class ConnectionStack(httpcore2.ConnectionPool):
    """httpcore2's pool, in which a call takes the most recently used connection.

    The original scans all connections twice per call, and makes a system call for each idle one. With 25 connections,
    this took a quarter of an HTTP call's CPU, while other threads waited for the pool's lock.
    """

    def __init__(self, connections: int, keep_alive_s: float, **options: Any) -> None:
        """`connections` is the maximum of concurrent calls, and of idle connections, which are kept for `keep_alive_s`
        each.
        """
        super().__init__(max_connections=connections, keepalive_expiry=keep_alive_s, **options)
        self._room = threading.Semaphore(connections)
        self._kept_max, self._keep_alive_s = connections, keep_alive_s
        self._guard = threading.Lock()
        self._idle: list[tuple[float, httpcore2.ConnectionInterface]] = []
        """Idle connections with the time of their last use, oldest first."""
        self._lent: set[httpcore2.ConnectionInterface] = set()

    @property
    def connections(self) -> list[httpcore2.ConnectionInterface]:
        """All connections: idle ones first, by last use."""
        with self._guard:
            return [*(each for _, each in self._idle), *self._lent]

    def handle_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """Send a request. Raises PoolTimeout if no connection becomes free in time."""
        if request.url.scheme not in {b"http", b"https"}:
            raise httpcore2.UnsupportedProtocol("only http:// and https:// can be called")
        if not self._room.acquire(timeout=request.extensions.get("timeout", {}).get("pool")):
            raise httpcore2.PoolTimeout("every connection is in use")
        connection = self._take(request.url.origin)
        try:
            response = connection.handle_request(request)
        except BaseException:
            self._give_back(connection)
            raise
        body = _Body(response.stream, partial(self._give_back, connection))
        return httpcore2.Response(
            response.status, headers=response.headers, content=body, extensions=response.extensions
        )

    def close(self) -> None:
        """Close all connections, including those in use."""
        for connection in self.connections:
            connection.close()
        with self._guard:
            self._idle.clear()

    def _take(self, origin: httpcore2.Origin) -> httpcore2.ConnectionInterface:
        """The most recently used idle connection to this origin, or a new one."""
        while (kept := self._pop(origin)) is not None:
            if not kept.has_expired():
                break
            kept.close()
        connection = kept or self.create_connection(origin)
        with self._guard:
            self._lent.add(connection)
        return connection

    def _pop(self, origin: httpcore2.Origin) -> httpcore2.ConnectionInterface | None:
        with self._guard:
            for position in reversed(range(len(self._idle))):
                if self._idle[position][1].can_handle_request(origin):
                    return self._idle.pop(position)[1]
        return None

    def _give_back(self, connection: httpcore2.ConnectionInterface) -> None:
        """Return a connection to the pool, unless it is broken. Close those that have been idle too long."""
        now = time.monotonic()
        closing = []
        with self._guard:
            self._lent.discard(connection)
            if connection.is_available():
                self._idle.append((now, connection))
            else:
                closing.append(connection)
            while self._idle and (now - self._idle[0][0] > self._keep_alive_s or len(self._idle) > self._kept_max):
                closing.append(self._idle.pop(0)[1])
        self._room.release()
        for each in closing:
            each.close()


class _Body:
    """A response body. Closing it releases its connection."""

    def __init__(self, stream: Any, free: Callable[[], None]) -> None:
        self._stream = stream
        self._free = free
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._stream.close()
            self._free()

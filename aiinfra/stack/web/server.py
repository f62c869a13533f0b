"""The event loop of one web process: accepts, reads, and writes all connections without waiting for any of them."""

import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from aiinfra.bodies import BODY_BYTES_MAX
from aiinfra.stack.web.connection import Connection
from aiinfra.stack.web.request import HEAD_BYTES_MAX
from aiinfra.stack.web.threads import Threads

logger = logging.getLogger(__name__)

CONNECTIONS_MAX = 2_000
"""Of one process. Beyond it, the connection that has kept the server waiting longest makes room."""
BODIES_BYTES_MAX = 64 * 1024 * 1024
"""Memory of one process for bodies. Beyond it, unfinished bodies above 64 KiB get 503."""
READ_BYTES = 16 * 1024
"""At a time: waitress copies the rest of it for each chunk, so a megabyte of tiny chunks would hold up the loop."""
SPOOL_BYTES = 1024 * 1024
"""Responses and permitted uploads above this size continue in a temporary file."""
WARN_EVERY_S = 60.0
PROBES = ("/healthz", "/readyz")
PROBE_THREADS = 4
ACCEPTS_AFTER_S = 0.5


class WebServer(TcpWSGIServer):
    """Listens on one socket that gunicorn has bound."""

    channel_class = Connection
    is_stopping = False

    def __init__(
        self,
        application: Callable[..., Any],
        listener: socket.socket,
        threads: Threads,
        loop: dict[int, Any],
        limit_of: Callable[[str], int | None],
    ) -> None:
        """`loop` is shared with other servers; `limit_of` gives an address's maximum of connections, or None."""
        self._limit_of = limit_of
        self._per_address: Counter[str] = Counter()
        self._warned_at = 0.0
        sockinfo = (listener.family, listener.type, listener.proto, listener.getsockname())
        adj = _adjustments()
        super().__init__(
            application, loop, _sock=listener, dispatcher=threads, adj=adj, sockinfo=sockinfo, bind_socket=False
        )
        self._threads = threads
        self._probe_threads = Threads(PROBE_THREADS)

    def readable(self) -> bool:
        """Whether to accept: another process takes the client while all threads of this one are busy. If they stay
        busy, clients are accepted nevertheless, because load balancers and supervisors wait for an answer.
        """
        return bool(super().readable()) and not self._threads.is_backed_up(ACCEPTS_AFTER_S)

    def add_task(self, task: Connection) -> None:
        """Respond in a thread; to probes in one that no other request can occupy."""
        is_probe = getattr(task.requests[0], "path", "") in PROBES  # a malformed request has none
        (self._probe_threads if is_probe else self.task_dispatcher).add_task(task)

    def handle_accept(self) -> None:
        """Accept one client. If too many are open, the slowest one makes room."""
        if len(self.active_channels) >= CONNECTIONS_MAX:
            self._make_room()
        super().handle_accept()

    def accept(self) -> tuple[socket.socket, Any] | None:
        """The next client, unless its address has too many connections."""
        client = super().accept()
        if client is None:
            return None
        connection, address = client
        limit = self._limit_of(address[0])
        if limit is not None and self._per_address[address[0]] >= limit:
            self._warn("refused a connection: too many from one address", address[0])
            connection.close()
            return None
        return connection, address

    def count(self, address: str) -> None:
        """A connection has begun."""
        self._per_address[address] += 1

    def forget(self, address: str) -> None:
        """A connection has ended."""
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]

    def is_full_of_bodies(self) -> bool:
        """Whether request bodies have used up their memory."""
        return bool(sum(each.buffered_bytes() for each in self.active_channels.values()) > BODIES_BYTES_MAX)

    def maintenance(self, now: float) -> None:  # noqa: ARG002 - waitress's clock is not monotonic
        """Once per second: enforce the deadlines of all connections."""
        moment = time.monotonic()
        for each in list(self.active_channels.values()):
            each.check_time(moment)

    def stop_accepting(self) -> None:
        """Leave new clients to other processes, and close idle connections."""
        self.is_stopping = True
        self.accepting = False
        self.del_channel()
        for each in list(self.active_channels.values()):
            if each.is_idle():
                each.handle_close()

    def is_drained(self) -> bool:
        """Whether no connection is left."""
        return not self.active_channels

    def _make_room(self) -> None:
        waiting = [(since, each) for each in self.active_channels.values() if (since := each.waits_since()) is not None]
        if waiting:
            self._warn("closed the slowest connection: too many are open", "")
            min(waiting, key=lambda pair: pair[0])[1].handle_close()

    def _warn(self, message: str, address: str) -> None:
        """One line per minute: an attacker must not fill the log."""
        if (now := time.monotonic()) > self._warned_at + WARN_EVERY_S:
            self._warned_at = now
            logger.warning(message, extra={"fields": {"address": address}})


def turn(loop: dict[int, Any], timeout_s: float) -> None:
    """One round of the event loop."""
    wasyncore.poll2(timeout_s, loop)


def _adjustments() -> Adjustments:
    return Adjustments(
        ident="aiinfra",
        server_name="localhost",
        clear_untrusted_proxy_headers=False,
        connection_limit=10 * CONNECTIONS_MAX,
        cleanup_interval=1,
        max_request_header_size=HEAD_BYTES_MAX,
        max_request_body_size=BODY_BYTES_MAX + 1,
        recv_bytes=READ_BYTES,
        inbuf_overflow=SPOOL_BYTES + 1,
        outbuf_overflow=SPOOL_BYTES,
        log_socket_errors=False,
    )

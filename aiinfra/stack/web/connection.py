"""A client's connection. Its bytes are read and written by the event loop; a thread sees only complete requests.

Every state that a client can prolong has a deadline, which `check_time` enforces once per second.
"""

import socket
import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from aiinfra.gateway.client_socket import CONNECTION
from aiinfra.stack.web.refusals import Refusal, busy, too_slow
from aiinfra.stack.web.request import Request
from aiinfra.stack.web.uploads import may_send_large_body

HEAD_S = 20.0
"""Timeout for the request line and headers, and for the first byte of a new connection."""
BODY_S = 30.0
BODY_BYTES_PER_S = 64 * 1024
"""A body may take `BODY_S`, plus its size at this rate."""
IDLE_S = 75.0
"""For an idle connection between two requests; longer than the 60 s of usual proxies, so that they close first."""
STALL_S = 30.0
STALL_BYTES = 30 * 1024
"""A client must read this many bytes of a pending response every `STALL_S` seconds."""
DRAIN_S = 5.0
DRAIN_BYTES = 4 * 1024 * 1024
"""After a refusal, this much more of the request is read and dropped: closing at once would lose the response."""
SMALL_BODY_BYTES = 64 * 1024
"""Accepted even if other bodies fill the memory."""


class _Response(WSGITask):
    """A response of Django. HEAD gets no body, and a stopping server closes the connection afterwards."""

    def write(self, data: bytes) -> None:
        """Send a part of the body."""
        if self.channel.server.is_stopping and not self.wrote_header:
            self.set_close_on_finish()
        super().write(b"" if self.request.command == "HEAD" else data)

    def finish(self) -> None:
        """Send the rest."""
        if self.request.command == "HEAD":
            if not self.wrote_header:
                self.write(b"")
            return
        super().finish()

    def get_environment(self) -> dict[str, Any]:
        """The WSGI environment, with the connection for long responses."""
        environ: dict[str, Any] = super().get_environment()
        environ[CONNECTION] = self.channel
        return environ


class _Refused(ErrorTask):
    """An error response that is sent while the client may still be sending."""

    def execute(self) -> None:
        """Send it."""
        self.channel.drains = True
        super().execute()


class Connection(HTTPChannel):
    """One client. Methods without a note run in the event loop."""

    parser_class = Request
    task_class = _Response
    error_task_class = _Refused
    request: Request | None
    requests: list[Request]
    socket: socket.socket | None
    addr: tuple[Any, ...]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.idle_since = time.monotonic()
        self.drains = False
        """Whether the rest of the request is dropped before closing."""
        self._drain_until: float | None = None
        self._drained = 0
        self._sent = 0
        self._stall_check: tuple[float, int] | None = None
        super().__init__(*arguments, **named)
        self.server.count(self.addr[0])

    # In any thread

    def is_gone(self) -> bool:
        """Whether the client has closed the connection. Checks without reading or waiting."""
        client = self.socket
        if client is None:
            return True
        try:
            return bool(client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
        except BlockingIOError:
            return False
        except OSError:
            return True

    def wait_until_sent(self, timeout_s: float) -> bool:
        """Wait up to the timeout for a slow client; whether everything so far has been sent, or the client left."""
        with self.outbuf_lock:
            sent = self.outbuf_lock.wait_for(lambda: not self.total_outbufs_len or not self.connected, timeout_s)
        return bool(sent)

    def service(self) -> None:
        """In a thread: respond to the next request, or decide whether the client may send its large body."""
        request = self.requests[0]
        if request.needs_permission and self._may_send_body(request):
            self._read_on(request)
        else:
            super().service()
        self.idle_since = time.monotonic()

    def _flush_some(self, do_close: bool = True) -> bool:
        """Send what the client takes now. waitress's event loop takes no lock for a connection without requests, but a
        thread can be sending `100 Continue` for the next one: both would send the same bytes.
        """
        with self.outbuf_lock:
            return bool(super()._flush_some(do_close=do_close))

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Write to the socket without waiting."""
        sent: int = super().send(data, do_close=do_close)
        self._sent += sent
        return sent

    # In the event loop

    def received(self, data: bytes) -> bool:
        """Take the next bytes of the client."""
        result: bool = super().received(data)
        request = self.request
        if request and request.buffered_bytes() > SMALL_BODY_BYTES and self.server.is_full_of_bodies():
            self._refuse(busy(request.start))
        return result

    def del_channel(self, map: dict[int, Any] | None = None) -> None:  # noqa: A002 - waitress's name
        """Called at each close; only the first one has an effect."""
        if self._fileno is not None:
            self.server.forget(self.addr[0])
        super().del_channel(map)

    def is_idle(self) -> bool:
        """Whether the client has sent nothing of a request, and awaits no response."""
        return not (self.requests or self.request or self.total_outbufs_len)

    def waits_since(self) -> float | None:
        """When the server started waiting for this client; None while a response is made or sent."""
        if self.requests or self.total_outbufs_len:
            return None
        return self.request.began_at if self.request else self.idle_since

    def buffered_bytes(self) -> int:
        """Bytes of bodies that are kept."""
        request = self.request
        return (request.buffered_bytes() if request else 0) + sum(each.buffered_bytes() for each in self.requests)

    def check_time(self, now: float) -> None:
        """Enforce the deadlines."""
        if self._drain_until is not None:
            self._close_if(now > self._drain_until)
        elif self.total_outbufs_len:
            self._check_stall(now)
        else:
            self._stall_check = None
            if not self.requests:
                self._check_wait(now)

    def readable(self) -> bool:
        """Whether the event loop should read."""
        return self.connected and (self._drain_until is not None or bool(super().readable()))

    def handle_read(self) -> None:
        """Read, or drop what a refused client still sends."""
        if self._drain_until is None:
            super().handle_read()
            return
        self._drained += len(self.recv(self.adj.recv_bytes))
        self._close_if(self._drained > DRAIN_BYTES)

    def handle_write(self) -> None:
        """Write, and close when that was requested."""
        if not (self.close_when_flushed and self.drains and not self.will_close):
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.will_close:
            self.handle_close()
        elif self.connected and not self.total_outbufs_len:
            self._begin_to_drain()

    def _begin_to_drain(self) -> None:
        self.close_when_flushed = False
        self._drain_until = time.monotonic() + DRAIN_S
        try:
            if self.socket:
                self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.handle_close()

    def _check_wait(self, now: float) -> None:
        request = self.request
        if request is None:
            is_new = self._sent == 0
            self._close_if(now - self.idle_since > (HEAD_S if is_new else IDLE_S))
        elif request.headers_finished:
            if now - request.began_at > BODY_S + request.content_length / BODY_BYTES_PER_S:
                self._refuse(too_slow(request.start))
        elif now - request.began_at > HEAD_S:
            self._refuse(too_slow(request.start))

    def _check_stall(self, now: float) -> None:
        if self._stall_check is None:
            self._stall_check = (now + STALL_S, self._sent + STALL_BYTES)
        elif now > self._stall_check[0]:
            self._close_if(self._sent < self._stall_check[1])
            self._stall_check = None

    def _close_if(self, is_over: bool) -> None:
        """At once: waitress would wait until the client can be written to."""
        if is_over:
            self.handle_close()

    def _refuse(self, refusal: Refusal) -> None:
        """Send an error response without a thread, and close."""
        with self.requests_lock, self.outbuf_lock:
            if self.request is not None:
                self.request.close()
            self.request = None
            text = refusal.to_bytes()
            self.outbufs[-1].append(text)
            self.total_outbufs_len += len(text)
            self.drains = self.close_when_flushed = True

    # In a thread

    def _may_send_body(self, request: Request) -> bool:
        """Whether the sender of this head may send its large body; if not, Django sees the request without it."""
        if may_send_large_body(_Response(self, request).get_environment()):
            return True
        request.withhold_body()
        self.drains = True
        return False

    def _read_on(self, request: Request) -> None:
        """Give the request back to the event loop, which reads its body."""
        with self.requests_lock:
            self.requests = []
            self.request = request
            request.began_at = time.monotonic()
            request.permit()
            if request.expect_continue:
                self.send_continue()
        self.server.pull_trigger()

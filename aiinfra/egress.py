"""The one place that opens outgoing HTTP connections.

The guard applies when the connection is opened: a name is resolved once, every address is checked, and the socket
connects to a checked address, so neither a redirect nor DNS rebinding can reach a private network. The names in TLS and
in `Host` are unchanged.
"""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import httpcore2
import httpx2

from aiinfra.egress_pool import ConnectionStack
from aiinfra.public_addresses import are_public, resolve

CONNECT_TIMEOUT_S = 5.0
BODY_BYTES_MAX = 16 * 1024 * 1024
ERROR_BODY_BYTES_MAX = 64 * 1024
"""Limit for an error response's body. Longer ones are truncated: the message is at the beginning."""
KEEP_ALIVE_S = 30.0
EVENT_STREAM = "text/event-stream"
STREAM_FRAMING = 16
"""Streams may be this many times larger than a plain body: each event repeats the same members."""

# Headers that describe the body as sent over the network.
_DECODED = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})

_deadline: ContextVar[float | None] = ContextVar("egress_deadline", default=None)


class EgressRefusedError(httpx2.ConnectError):
    """Calls to this address are not allowed. Nothing was sent.

    Unknown names and names in the private network get the same error, so that callers can't probe which names exist.
    """


class AnswerTooLargeError(httpx2.ReadError):
    """The response exceeds the size limit. The rest was not read."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Bound every connect, write and read in the block to `seconds` from now, however slowly the server sends.

    A DNS lookup is the one step that cannot be interrupted; the deadline is checked right after it.
    """
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def timeouts(total_s: float, idle_s: float | None = None) -> httpx2.Timeout:
    """Per-step timeouts for a call that may take `total_s` seconds, and `idle_s` without receiving a byte."""
    read = total_s if idle_s is None else min(idle_s, total_s)
    return httpx2.Timeout(total_s, connect=min(CONNECT_TIMEOUT_S, total_s), read=read)


def http_client(
    *, trusted_hosts: frozenset[str] = frozenset(), connections: int = 10, body_bytes: int = BODY_BYTES_MAX
) -> httpx2.Client:
    """A guarded client: no redirects, no proxy from the environment.

    `trusted_hosts` are the hosts in the server's settings; only they may have private or loopback addresses. A response
    of more than `body_bytes`, counted after decompression, raises AnswerTooLargeError while it is read.
    """
    return httpx2.Client(
        transport=EgressTransport(trusted_hosts=trusted_hosts, connections=connections, body_bytes=body_bytes),
        follow_redirects=False,
        trust_env=False,
    )


@cache
def _ssl_context() -> ssl.SSLContext:
    """Shared by all clients in the process: loading the certificate authorities takes 25 ms of CPU time."""
    return httpx2.create_ssl_context()


class EgressTransport(httpx2.HTTPTransport):
    """httpx2's transport, with a connection pool whose sockets are opened by the guard."""

    def __init__(self, *, trusted_hosts: frozenset[str], connections: int, body_bytes: int = BODY_BYTES_MAX) -> None:
        self._body_bytes = body_bytes
        super().__init__(verify=_ssl_context())
        self._pool = ConnectionStack(
            connections, KEEP_ALIVE_S, ssl_context=_ssl_context(), network_backend=_GuardedBackend(trusted_hosts)
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. Raises EgressRefusedError for credentials in the URL, ConnectTimeout after the deadline."""
        if request.url.userinfo:
            raise EgressRefusedError("a URL must not contain credentials", request=request)
        if _remaining(None) == 0:
            raise httpx2.ConnectTimeout("the deadline passed before the request was sent", request=request)
        answer = super().handle_request(request)
        is_stream = request.headers.get("accept", "").startswith(EVENT_STREAM)
        headers = [(name, value) for name, value in answer.headers.raw if name.lower() not in _DECODED]
        return httpx2.Response(
            answer.status_code,
            headers=headers,
            stream=_BoundedBody(answer, self._body_bytes * (STREAM_FRAMING if is_stream else 1)),
            extensions=answer.extensions,
        )


class _BoundedBody(httpx2.SyncByteStream):
    """A response body that is decompressed in small pieces and counted, to stop decompression bombs."""

    def __init__(self, answer: httpx2.Response, body_bytes: int) -> None:
        self._answer = answer
        self._left = ERROR_BODY_BYTES_MAX if answer.is_error else body_bytes
        self._body_bytes = body_bytes

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._answer.iter_bytes():
            if len(piece) > self._left and not self._answer.is_error:
                raise AnswerTooLargeError(f"The response has more than {self._body_bytes} bytes.")
            yield piece[: self._left]
            self._left -= len(piece)
            if self._left < 0:
                return

    def close(self) -> None:
        self._answer.close()


class _GuardedBackend(httpcore2.SyncBackend):
    """Opens sockets to checked addresses only."""

    def __init__(self, trusted_hosts: frozenset[str]) -> None:
        self._trusted_hosts = trusted_hosts

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any
    ) -> httpcore2.NetworkStream:
        refused: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in self._addresses(host, port):
            try:
                limit = _limit(timeout, httpcore2.ConnectTimeout)
                return _DeadlineStream(super().connect_tcp(address, port, limit, *args, **kwargs))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                refused = error
        raise refused

    def _addresses(self, host: str, port: int) -> list[str]:
        is_trusted = host.lower() in self._trusted_hosts
        try:
            addresses = resolve(host, port)
        except (OSError, UnicodeError) as error:
            if is_trusted:
                raise httpcore2.ConnectError(f"could not resolve {host}") from error
            addresses = []
        if not is_trusted and not are_public(addresses):
            raise EgressRefusedError(f"{host} has no public address")
        return addresses


class _DeadlineStream(httpcore2.NetworkStream):
    """A socket that obeys the deadline of the current call; connections are reused, so each step checks it."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _limit(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _limit(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        limit = _limit(timeout, httpcore2.ConnectTimeout)
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, limit))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _remaining(timeout: float | None) -> float | None:
    """The time left until the timeout or the deadline; None without either, 0 when it has passed."""
    end = _deadline.get()
    if end is None:
        return timeout
    left = max(end - time.monotonic(), 0.0)
    return left if timeout is None else min(left, timeout)


def _limit(timeout: float | None, error: type[Exception]) -> float | None:
    left = _remaining(timeout)
    if left == 0:
        raise error("the deadline of the call has passed")
    return left

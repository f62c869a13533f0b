"""Parsing of a request, with its head, its body, and their framing checked before anything is kept."""

import copy
import re
import time
from collections.abc import Callable
from io import BytesIO
from typing import IO, Any

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import RequestEntityTooLarge, RequestHeaderFieldsTooLarge, ServerNotImplemented

from aiinfra.bodies import BODY_BYTES_MAX, largest_body
from aiinfra.stack.web.refusals import Refusal, head_too_large, malformed, too_large

HEAD_BYTES_MAX = 32 * 1024
START_BYTES = 64
"""How much of the beginning a refusal looks at to choose its format."""
TRANSFER_ENCODING = re.compile(rb"^transfer-encoding[ \t]*:", re.IGNORECASE | re.MULTILINE)
FOLDED = re.compile(rb"\r\n[ \t]")


class Request(HTTPRequestParser):
    """One request. A body above the usual limit stays unread until `permit`, because only some callers may send one."""

    error: Any = None
    needs_permission = False

    def __init__(self, adj: Adjustments) -> None:
        super().__init__(adj)
        self.began_at = time.monotonic()
        self.start = b""
        self._held = b""
        self._expects_continue = False

    def received(self, data: bytes) -> int:
        """Take the next bytes; returns how many of them belong to this request."""
        if len(self.start) < START_BYTES:
            self.start = (self.start + data)[:START_BYTES]
        consumed: int = super().received(data)
        if self.error:
            self.error = self._refusal()
            self.expect_continue = False
        elif self.needs_permission and not self.completed:
            return self._hold(data, consumed)
        return consumed

    def permit(self) -> None:
        """Go on with the body. The caller keeps other threads away from the request."""
        self.needs_permission = False
        self.completed = False
        self.expect_continue = self._expects_continue
        held, self._held = self._held, b""
        if held:
            self.received(held)

    def withhold_body(self) -> None:
        """Go on without the body: a view rejects the sender before it would read one. Nothing can follow the body."""
        self.headers["CONNECTION"] = "close"

    def buffered_bytes(self) -> int:
        """Bytes of the body that are kept so far."""
        return self.body_bytes_received if self.body_rcv is not None else 0

    def parse_header(self, header_plus: bytes) -> None:
        """Reject what servers and proxies understand differently, and choose the limit for the body."""
        has_encoding = TRANSFER_ENCODING.search(header_plus) is not None
        if FOLDED.search(header_plus):
            raise ParsingError("A header must not span lines.")
        super().parse_header(header_plus)
        if has_encoding and ("CONTENT_LENGTH" in self.headers or not self.chunked):
            raise ParsingError("Send either Content-Length or Transfer-Encoding: chunked.")
        if self.version == "1.1" and "HOST" not in self.headers:
            raise ParsingError("The Host header is missing.")
        hosts = {self.headers.get("HOST", ""), self.proxy_netloc or self.headers.get("HOST", "")}
        if len(hosts) > 1 or "," in "".join(hosts):
            raise ParsingError("The request names several hosts.")
        if self.content_length > BODY_BYTES_MAX and (limit := largest_body(self.path)) > BODY_BYTES_MAX:
            self.adj = _with_body_limit(self.adj, limit)
            self.needs_permission = self.content_length <= limit

    def get_body_stream(self) -> IO[bytes]:
        """The body as a file."""
        if self.needs_permission:
            return BytesIO()
        stream: IO[bytes] = super().get_body_stream()
        return stream

    def _hold(self, data: bytes, consumed: int) -> int:
        self._held = data[consumed:]
        self._expects_continue, self.expect_continue = self.expect_continue, False
        self.completed = True
        return len(data)

    def _refusal(self) -> Refusal:
        make: dict[type, Callable[[], Refusal]] = {
            RequestEntityTooLarge: lambda: too_large(
                self.adj.max_request_body_size - 1, self.start, has_length=not self.chunked
            ),
            RequestHeaderFieldsTooLarge: lambda: head_too_large(self.adj.max_request_header_size, self.start),
            ServerNotImplemented: lambda: Refusal(
                501, "Not Implemented", "not_implemented", "Only chunked transfer encoding works.", start=self.start
            ),
        }
        if isinstance(self.error, Refusal):
            return self.error
        return make.get(type(self.error), lambda: malformed(_words_of(self.error), self.start))()


def _words_of(error: Any) -> str:
    """The web server's own message as a sentence."""
    words = str(error.body).strip().rstrip(".") or "The request is malformed"
    return f"{words}."


def _with_body_limit(adj: Adjustments, limit: int) -> Adjustments:
    other = copy.copy(adj)
    other.max_request_body_size = limit + 1
    return other

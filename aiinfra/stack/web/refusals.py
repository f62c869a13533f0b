"""Error responses that the web server sends itself, before Django sees the request."""

import json
import re
from typing import Any

FOR_PROGRAMS = re.compile(rb"\s*[A-Za-z]+ (https?://[^/\s]*)?/+(?P<path>(api|v1)/\S*)")


class Refusal:
    """An error response that needs no thread or view: JSON for API clients, a sentence for browsers."""

    def __init__(
        self, status: int, reason: str, kind: str, message: str, *, start: bytes = b"", retry_after_s: int | None = None
    ) -> None:
        self.code = status
        self.reason = reason
        self._kind = kind
        self._message = message
        asked = FOR_PROGRAMS.match(start)
        self._path = f"/{asked['path'].decode('latin-1')}" if asked else ""
        """Of a request for programs."""
        self._retry_after_s = retry_after_s

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:  # noqa: ARG002
        """Status line, headers, and body, as waitress asks for them."""
        headers = [
            ("Content-Type", "application/json" if self._path else "text/plain; charset=utf-8"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if self._retry_after_s is not None:
            headers.append(("Retry-After", str(self._retry_after_s)))
        return f"{self.code} {self.reason}", headers, self._body()

    def to_bytes(self) -> bytes:
        """The whole response, for a connection that closes after it."""
        status, headers, body = self.to_response()
        headers += [("Content-Length", str(len(body))), ("Connection", "close")]
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _body(self) -> bytes:
        return json.dumps(self._error()).encode() if self._path else f"{self._message}\n".encode()

    def _error(self) -> dict[str, Any]:
        from aiinfra.error_responses import body_for  # gunicorn imports this module before Django is set up
        from aiinfra.failures import ApiError

        return body_for(self._path, ApiError(self.code, self._kind, self._message), None)


def malformed(message: str, start: bytes) -> Refusal:
    """400 for a request that cannot be understood, or that another server could understand differently."""
    return Refusal(400, "Bad Request", "invalid_request", message, start=start)


def too_large(limit: int, start: bytes, *, has_length: bool = True) -> Refusal:
    """413 for a body over the limit in bytes. Without a `Content-Length`, that is the usual limit at every URL."""
    message = f"The body is larger than {limit} bytes."
    if not has_length:
        message += " Send larger bodies with a Content-Length, where they are allowed."
    return Refusal(413, "Content Too Large", "too_large", message, start=start)


def head_too_large(limit: int, start: bytes) -> Refusal:
    """431 for a request line and headers over the limit in bytes."""
    message = f"The request line and headers are larger than {limit} bytes."
    return Refusal(431, "Request Header Fields Too Large", "headers_too_large", message, start=start)


def too_slow(start: bytes) -> Refusal:
    """408 for a request that did not arrive in time."""
    return Refusal(408, "Request Timeout", "timeout", "The request did not arrive in time.", start=start)


def busy(start: bytes) -> Refusal:
    """503 while the bodies of other requests fill the memory that is reserved for them."""
    message = "The server is receiving too much data at once. Try again in a few seconds."
    return Refusal(503, "Service Unavailable", "unavailable", message, start=start, retry_after_s=5)

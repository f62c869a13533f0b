"""One HTTP request and its answer, over plain ASGI."""

import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_MAX = 64 * 1024 * 1024
CLOSE_WITH_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, for 0 seconds: closing the socket then sends a TCP reset."""


class BadRequestError(Exception):
    """A client error; the text is for the client, `param` names the field."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status


@dataclass
class Exchange:
    """A request with its whole body, and the ways to answer it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    _receive: Receive = field(repr=False)
    _send: Send = field(repr=False)

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises BadRequestError."""
        try:
            value = json.loads(self.body)
        except ValueError:
            raise BadRequestError("the body is not JSON") from None
        if not isinstance(value, dict):
            raise BadRequestError("the body is not a JSON object")
        return value

    async def send_json(self, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Answer with JSON."""
        body = json.dumps(value).encode()
        await self.send(body, "application/json", status, headers)

    async def send(
        self, body: bytes, content_type: str, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with a whole body."""
        await self.start(content_type, status, {"content-length": str(len(body)), **(headers or {})})
        await self._send({"type": "http.response.body", "body": body})

    async def start(self, content_type: str, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Begin a response; every response says that it comes from a sandbox."""
        fields = {"content-type": content_type, "x-sandbox": "true", **(headers or {})}
        encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def send_chunk(self, chunk: bytes, *, last: bool = False) -> None:
        """Send the next chunk of a response."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": not last})

    async def reset(self) -> None:
        """Break the connection without a response."""
        transport = self._send.__self__.transport  # type: ignore[attr-defined]  # uvicorn's request cycle: ASGI has no word for it
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_WITH_RESET)
        transport.abort()
        await self.disconnected()

    async def disconnected(self) -> None:
        """Wait until the client has disconnected."""
        while (await self._receive())["type"] != "http.disconnect":
            continue


async def read_exchange(scope: Scope, receive: Receive, send: Send) -> Exchange:
    """Read the request with its body. Raises BadRequestError (413) for more than `BODY_MAX` bytes."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_MAX:
            raise BadRequestError("the body is too large", status=413)
        if not message.get("more_body"):
            break
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Exchange(scope["method"], scope["path"], headers, bytes(body), receive, send)

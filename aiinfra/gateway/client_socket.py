"""What a thread that streams a long response can learn about its client.

WSGI reports a disconnected client only when a write fails. gunicorn exposes its socket, so the thread can check it;
with other servers nothing is known, and the failing write ends the response.
"""

import select
import socket
from collections.abc import Mapping
from typing import Any


class ClientSocket:
    """The connection to the client, or to the proxy in front of it."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._socket: socket.socket | None = environ.get("gunicorn.socket")

    def is_gone(self) -> bool:
        """Whether the client has closed the connection. Checks without reading or waiting."""
        if self._socket is None:
            return False
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def is_writable(self, timeout_s: float) -> bool:
        """Whether a few kilobytes can be written without blocking; waits up to the timeout for a slow client."""
        if self._socket is None:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        return bool(poll.poll(timeout_s * 1000))

"""What a thread that writes a long answer can see of its client.

WSGI tells of a client that left only when a write fails. gunicorn hands its socket over, so that it can be looked at;
under other servers nothing is seen, and the write that fails ends the answer.
"""

import select
import socket
from collections.abc import Mapping
from typing import Any


class ClientSocket:
    """The client's connection, or that of the proxy in front of it."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._socket: socket.socket | None = environ.get("gunicorn.socket")

    def is_gone(self) -> bool:
        """Whether the client has closed the connection. Looks without reading or waiting."""
        if self._socket is None:
            return False
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def is_writable(self, timeout_s: float) -> bool:
        """Whether a few kilobytes can be written at once; waits for a client that reads slowly."""
        if self._socket is None:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        return bool(poll.poll(timeout_s * 1000))

"""The state of a streaming client's connection.

WSGI reports a disconnected client only when a write fails. Our web server puts its connection into the environment, so
the thread can ask it; with other servers nothing is known, and the failing write ends the response.
"""

from collections.abc import Mapping
from typing import Any, Protocol

CONNECTION = "aiinfra.connection"
"""Where the web server puts the connection."""


class ClientConnection(Protocol):
    """What the web server knows of a connection."""

    def is_gone(self) -> bool:
        """Whether the client has closed it. Checks without reading or waiting."""
        ...

    def wait_until_sent(self, timeout_s: float) -> bool:
        """Wait up to the timeout for a slow client; whether everything so far has been sent, or the client left."""
        ...


class ClientSocket:
    """The connection to the client, or to the proxy in front of it."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._connection: ClientConnection | None = environ.get(CONNECTION)

    def is_gone(self) -> bool:
        """Whether the client has closed the connection. Checks without reading or waiting."""
        return self._connection is not None and self._connection.is_gone()

    def is_ready(self, timeout_s: float) -> bool:
        """Whether the client has taken everything that was sent; waits up to the timeout for a slow one."""
        return self._connection is None or self._connection.wait_until_sent(timeout_s)

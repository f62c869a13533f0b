"""A webhook receiver on localhost."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

from tests.support.http_server import serving


@dataclass
class Receiver:
    """Responds with the statuses in order and repeats the last one; waits while `may_answer` is not set."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [200])
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    may_answer: Event = field(default_factory=Event)

    def answer(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def messages(self) -> list[dict[str, Any]]:
        """The bodies received so far, as JSON."""
        return [json.loads(body) for _, body in list(self.received)]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens until the block ends."""
    found = Receiver()
    found.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.received.append((dict(self.headers), body))
            found.may_answer.wait()
            self.send_response(found.answer())
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as port:
        found.url = f"http://127.0.0.1:{port}/hook/secret-part"
        try:
            yield found
        finally:
            found.may_answer.set()

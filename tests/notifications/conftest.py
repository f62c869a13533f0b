"""A channel, and a receiver on loopback."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from pytest_django.fixtures import Settings

from aiinfra.notifications.channels import add_channel
from aiinfra.notifications.models import Channel
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope


@dataclass
class Receiver:
    """An HTTP server that answers with the next status of its list, the last one again and again."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [200])
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def answer(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """A real server, which the guard lets pass in this test."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.received.append((dict(self.headers), body))
            self.send_response(found.answer())
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}/hook/secret-part"
        settings.NOTIFICATION_TRUSTED_HOSTS = frozenset({"127.0.0.1"})
        Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


@pytest.fixture
def scoped(organization: Organization) -> Iterator[Organization]:
    """The test sees the rows of this organization."""
    with organization_scope(organization.pk):
        yield organization


@pytest.fixture
def make_channel(organization: Organization) -> Callable[..., Channel]:
    """Adds a channel; a webhook that hears everything by default."""

    def make(**columns: str) -> Channel:
        defaults = {"kind": "webhook", "name": "ops", "target": "https://example.com/hook", "min_severity": "low"}
        with organization_scope(organization.pk):
            channel, _ = add_channel(organization_id=organization.pk, actor="user:admin", **{**defaults, **columns})
            return channel

    return make

"""The connection pool of an HTTP client."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpcore2
import httpx2
import pytest

from aiinfra import egress, egress_pool

MOST = 4


class Server(ThreadingHTTPServer):
    """Keeps connections open and records the client port of each request: one port is one connection."""

    daemon_threads = False  # closing waits until every connection is closed

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.client_ports: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.client_ports.append(self.client_address[1])  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.path == "/broken":
            self.wfile.write(b"o")
            self.close_connection = True
        else:
            self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as each:
        yield each


@pytest.fixture
def other() -> Iterator[Server]:
    with serving() as each:
        yield each


@pytest.fixture
def client(server: Server, other: Server) -> Iterator[httpx2.Client]:
    with egress.http_client(trusted_hosts=frozenset({"127.0.0.1"}), connections=MOST) as each:
        yield each


def send_all(client: httpx2.Client, *urls: str) -> None:
    """Send all requests before reading the first response."""
    responses = [client.send(client.build_request("GET", url), stream=True) for url in urls]
    for each in responses:
        assert each.read() == b"ok"


def open_connections(client: httpx2.Client) -> int:
    return len(client._transport._pool.connections)  # type: ignore[attr-defined]


def test_the_most_recently_used_connection_is_reused(client: httpx2.Client, server: Server) -> None:
    send_all(client, *[server.url] * 3)
    for _ in range(2):
        client.get(server.url)
    first, second, third, *later = server.client_ports
    assert (len({first, second, third}), later, open_connections(client)) == (3, [third, third], 3)


@pytest.mark.parametrize("others", [0, 3])
def test_only_one_connection_is_checked_regardless_of_how_many_are_idle(
    client: httpx2.Client, server: Server, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    send_all(client, *[server.url] * (1 + others))
    checked = []
    monkeypatch.setattr(egress._DeadlineStream, "get_extra_info", lambda _stream, name: checked.append(name))
    client.get(server.url)
    assert checked.count("is_readable") == 1


def test_a_connection_closed_by_the_server_is_replaced(
    client: httpx2.Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get(server.url)
    monkeypatch.setattr(egress._DeadlineStream, "get_extra_info", lambda _stream, name: name == "is_readable" or None)
    client.get(server.url)
    assert (len(set(server.client_ports)), open_connections(client)) == (2, 1)


def test_connections_idle_past_the_keep_alive_are_closed(
    client: httpx2.Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_all(client, *[server.url] * 3)
    later = egress_pool.time.monotonic() + egress.KEEP_ALIVE_S + 1
    monkeypatch.setattr("aiinfra.egress_pool.time.monotonic", lambda: later)
    client.get(server.url)
    assert open_connections(client) == 1


def test_a_call_over_the_connection_limit_waits_for_another_to_finish(client: httpx2.Client, server: Server) -> None:
    responses = [client.send(client.build_request("GET", server.url), stream=True) for _ in range(MOST)]
    with pytest.raises(httpx2.PoolTimeout):
        client.get(server.url, timeout=httpx2.Timeout(5, pool=0.01))
    responses[0].read()
    assert client.get(server.url, timeout=httpx2.Timeout(5, pool=0.01)).text == "ok"
    for each in responses[1:]:
        each.close()
    assert open_connections(client) == 1  # a connection whose response was not read completely is not reused


def test_a_failed_call_frees_its_slot_and_discards_its_connection(client: httpx2.Client, server: Server) -> None:
    for _ in range(MOST + 1):
        with pytest.raises(httpx2.RemoteProtocolError):
            client.get(f"{server.url}broken", timeout=httpx2.Timeout(5, pool=0.01))
        with pytest.raises(httpx2.ConnectError):
            client.get("http://127.0.0.1:1/", timeout=httpx2.Timeout(5, pool=0.01))
    assert open_connections(client) == 0


def test_the_limit_covers_idle_connections_to_all_servers(client: httpx2.Client, server: Server, other: Server) -> None:
    send_all(client, *[server.url] * 3)
    send_all(client, *[other.url] * 3)
    client.get(server.url)
    assert (len(set(server.client_ports)), len(set(other.client_ports)), open_connections(client)) == (3, 3, MOST)


def test_closing_the_client_closes_connections_in_use(server: Server) -> None:
    client = egress.http_client(trusted_hosts=frozenset({"127.0.0.1"}))
    response = client.send(client.build_request("GET", server.url), stream=True)
    client.get(server.url)
    pool = client._transport._pool  # type: ignore[attr-defined]
    connections = pool.connections
    client.close()
    assert [each.is_closed() for each in connections] == [True, True]
    response.close()
    assert pool.connections == []


def test_call_after_the_deadline_counts_as_unsent_despite_an_open_connection(
    client: httpx2.Client, server: Server
) -> None:
    client.get(server.url)
    with egress.deadline(0), pytest.raises(httpx2.ConnectTimeout):
        client.get(server.url)
    assert len(server.client_ports) == 1


def test_unsupported_protocols_are_refused() -> None:
    request = httpcore2.Request("GET", "ftp://127.0.0.1/")
    with pytest.raises(httpcore2.UnsupportedProtocol):
        egress_pool.ConnectionStack(1, 1.0).handle_request(request)

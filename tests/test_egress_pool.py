"""The connections that an HTTP client keeps between its calls."""

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
    """Keeps connections open. Notes the client's port of each request: equal ports are one connection."""

    daemon_threads = False  # so that closing it waits until every connection is closed

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.client_address[1])  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.path == "/broken":
            self.wfile.write(b"o")
            self.close_connection = True
        else:
            self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


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


def at_once(client: httpx2.Client, *urls: str) -> None:
    """Call all of them before the first answer is read."""
    responses = [client.send(client.build_request("GET", url), stream=True) for url in urls]
    for each in responses:
        assert each.read() == b"ok"


def kept(client: httpx2.Client) -> int:
    return len(client._transport._pool.connections)  # type: ignore[attr-defined]


def test_a_call_takes_the_connection_that_was_used_last(client: httpx2.Client, server: Server) -> None:
    at_once(client, *[server.url] * 3)
    for _ in range(2):
        client.get(server.url)
    first, second, third, *later = server.asked
    assert (len({first, second, third}), later, kept(client)) == (3, [third, third], 3)


@pytest.mark.parametrize("others", [0, 3])
def test_a_call_asks_about_one_connection_however_many_are_idle(
    client: httpx2.Client, server: Server, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    at_once(client, *[server.url] * (1 + others))
    asked = []
    monkeypatch.setattr(egress._DeadlineStream, "get_extra_info", lambda _stream, name: asked.append(name))
    client.get(server.url)
    assert asked.count("is_readable") == 1


def test_a_connection_that_the_server_has_closed_is_replaced(
    client: httpx2.Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get(server.url)
    monkeypatch.setattr(egress._DeadlineStream, "get_extra_info", lambda _stream, name: name == "is_readable" or None)
    client.get(server.url)
    assert (len(set(server.asked)), kept(client)) == (2, 1)


def test_connections_that_were_idle_for_long_are_closed(
    client: httpx2.Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(client, *[server.url] * 3)
    later = egress_pool.time.monotonic() + egress.KEEP_ALIVE_S + 1
    monkeypatch.setattr("aiinfra.egress_pool.time.monotonic", lambda: later)
    client.get(server.url)
    assert kept(client) == 1


def test_a_call_beyond_the_limit_waits_for_another_to_end(client: httpx2.Client, server: Server) -> None:
    responses = [client.send(client.build_request("GET", server.url), stream=True) for _ in range(MOST)]
    with pytest.raises(httpx2.PoolTimeout):
        client.get(server.url, timeout=httpx2.Timeout(5, pool=0.01))
    responses[0].read()
    assert client.get(server.url, timeout=httpx2.Timeout(5, pool=0.01)).text == "ok"
    for each in responses[1:]:
        each.close()
    assert kept(client) == 1  # those that were not read to their end cannot be used again


def test_a_call_that_breaks_frees_its_place_and_not_its_connection(client: httpx2.Client, server: Server) -> None:
    for _ in range(MOST + 1):
        with pytest.raises(httpx2.RemoteProtocolError):
            client.get(f"{server.url}broken", timeout=httpx2.Timeout(5, pool=0.01))
        with pytest.raises(httpx2.ConnectError):
            client.get("http://127.0.0.1:1/", timeout=httpx2.Timeout(5, pool=0.01))
    assert kept(client) == 0


def test_idle_connections_to_several_servers_are_bounded_together(
    client: httpx2.Client, server: Server, other: Server
) -> None:
    at_once(client, *[server.url] * 3)
    at_once(client, *[other.url] * 3)
    client.get(server.url)
    assert (len(set(server.asked)), len(set(other.asked)), kept(client)) == (3, 3, MOST)


def test_closing_the_client_closes_what_is_in_use(server: Server) -> None:
    client = egress.http_client(trusted_hosts=frozenset({"127.0.0.1"}))
    response = client.send(client.build_request("GET", server.url), stream=True)
    client.get(server.url)
    pool = client._transport._pool  # type: ignore[attr-defined]
    connections = pool.connections
    client.close()
    assert [each.is_closed() for each in connections] == [True, True]
    response.close()
    assert pool.connections == []


def test_other_protocols_are_refused() -> None:
    request = httpcore2.Request("GET", "ftp://127.0.0.1/")
    with pytest.raises(httpcore2.UnsupportedProtocol):
        egress_pool.ConnectionStack(1, 1.0).handle_request(request)

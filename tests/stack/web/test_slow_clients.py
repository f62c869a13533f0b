"""Slow clients occupy no threads, and every state that they can prolong has a deadline."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from aiinfra.gateway.client_socket import ClientSocket
from aiinfra.stack.web import connection, server
from tests.stack.web.conftest import Environ, Served, read_all
from tests.support.processes import wait_until

HEAD = b"GET /a HTTP/1.1\r\nHost: a\r\n"
BODY = b"POST /api/a HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nx"
CLOSED = HEAD + b"Connection: close\r\n\r\n"


@pytest.fixture
def _expired_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all deadlines expire immediately."""
    for name in ("HEAD_S", "BODY_S", "IDLE_S", "STALL_S"):
        monkeypatch.setattr(connection, name, 0.0)


def test_slow_clients_occupy_no_threads(serve: Callable[..., Served]) -> None:
    served = serve(threads=1)
    with ExitStack() as clients:
        for start in (b"", HEAD, BODY) * 30:
            clients.enter_context(closing(served.connect())).sendall(start)
        for _ in range(3):
            assert served.ask(CLOSED).startswith(b"HTTP/1.1 200")


@pytest.mark.usefixtures("_expired_deadlines")
@pytest.mark.parametrize(("start", "response"), [(b"", b""), (HEAD, b"HTTP/1.1 408"), (BODY, b"HTTP/1.1 408")])
def test_an_unfinished_request_has_a_deadline(served: Served, start: bytes, response: bytes) -> None:
    assert served.ask(start)[:12] == response


@pytest.mark.usefixtures("_expired_deadlines")
def test_an_idle_connection_is_closed(served: Served) -> None:
    assert served.ask(HEAD + b"\r\n").startswith(b"HTTP/1.1 200")


def test_connection_deadlines_do_not_apply_while_a_request_runs(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()

    def slow(_: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        may_end.wait(60)
        start_response("200 OK", [])
        return [b"done"]

    served = serve(slow)
    checked = _count_checks(served, monkeypatch)
    monkeypatch.setattr(connection, "HEAD_S", 0.0)
    with closing(served.connect()) as client:
        client.sendall(CLOSED)
        wait_until(lambda: len(checked) >= 2, "two checks")
        may_end.set()
        assert read_all(client).endswith(b"done")


def _count_checks(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    checked: list[float] = []
    check = connection.Connection.check_time

    def counted(self: connection.Connection, now: float) -> None:
        checked.append(now)
        check(self, now)

    monkeypatch.setattr(connection.Connection, "check_time", counted)
    served.server.adj.cleanup_interval = 0
    return checked


def _endless(_: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
    start_response("200 OK", [])
    while True:
        yield b"x" * 2**20


@pytest.mark.usefixtures("_expired_deadlines")
def test_a_client_that_does_not_read_is_disconnected(serve: Callable[..., Served]) -> None:
    served = serve(_endless)
    with closing(served.connect()) as client:
        client.sendall(CLOSED)
        wait_until(lambda: not served.server.active_channels, "the end of the connection")


def test_the_slowest_client_is_disconnected_for_a_new_one(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 3)
    with ExitStack() as clients:
        slow = [clients.enter_context(closing(served.connect())) for _ in range(3)]
        slow[0].sendall(HEAD)
        wait_until(lambda: len(served.server.active_channels) == 3, "three clients")
        assert served.ask(CLOSED).startswith(b"HTTP/1.1 200")
        assert [_is_closed(each) for each in slow].count(True) == 1


def _is_closed(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_connections_per_address_are_limited_and_released(serve: Callable[..., Served]) -> None:
    served = serve(limit=2)
    with closing(served.connect()), closing(served.connect()):
        wait_until(lambda: len(served.server.active_channels) == 2, "two clients")
        with closing(served.connect()) as third:
            assert _received(third) == b""
    wait_until(lambda: not served.server.active_channels, "both to leave")
    assert served.ask(CLOSED).startswith(b"HTTP/1.1 200")


def _received(client: socket.socket) -> bytes:
    try:
        return client.recv(1)
    except ConnectionResetError:
        return b""


def test_total_memory_for_bodies_is_limited(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODIES_BYTES_MAX", 300_000)
    head = b"POST /api/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    with ExitStack() as clients:
        for _ in range(2):
            clients.enter_context(closing(served.connect())).sendall(head + b"x" * 140_000)
        wait_until(lambda: sum(each.buffered_bytes() for each in _connections(served)) == 280_000, "two bodies")
        response = served.ask(head + b"x" * 70_000)
        assert response.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 5" in response
        small = b"POST /a HTTP/1.1\r\nContent-Length: 50000\r\nHost: a\r\nConnection: close\r\n\r\n" + b"x" * 50_000
        assert served.ask(small).startswith(b"HTTP/1.1 200")


def _connections(served: Served) -> list[connection.Connection]:
    return list(served.server.active_channels.values())


def test_a_waiting_thread_is_replaced(serve: Callable[..., Served]) -> None:
    """With one thread and two waiting requests, a third one is served."""
    may_end = threading.Event()
    served: Served

    def wait(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            with served.threads.replaced():
                may_end.wait(60)
        start_response("200 OK", [])
        return [b"done"]

    served = serve(wait, threads=1)
    with closing(served.connect()) as first, closing(served.connect()) as second:
        for client in (first, second):
            client.sendall(CLOSED.replace(b"/a", b"/wait"))
        assert served.ask(CLOSED).endswith(b"done")
        may_end.set()
        assert read_all(first).endswith(b"done")
        assert read_all(second).endswith(b"done")


def test_a_response_detects_that_its_client_disconnected_or_stopped_reading(serve: Callable[..., Served]) -> None:
    seen: list[bool] = []
    is_over = threading.Event()

    def stream(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        client = ClientSocket(environ)
        start_response("200 OK", [])
        yield b"begin"
        seen.extend([client.is_gone(), client.is_ready(60)])
        yield b"x" * 2**23
        seen.append(client.is_ready(0))
        wait_until(client.is_gone, "the client to leave")
        seen.append(client.is_gone())
        is_over.set()

    served = serve(stream)
    with closing(served.connect()) as client:
        client.sendall(CLOSED)
        wait_until(lambda: len(seen) == 3, "the client to fall behind")
    assert is_over.wait(60)
    assert seen == [False, True, False, True]


def test_chunks_are_sent_immediately(serve: Callable[..., Served]) -> None:
    may_go_on = threading.Event()

    def stream(_: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first"
        may_go_on.wait(60)
        yield b"second"

    with closing(serve(stream).connect()) as client:
        client.sendall(CLOSED)
        received = b""
        while b"first" not in received:
            received += client.recv(1000)
        assert b"second" not in received
        may_go_on.set()
        assert b"second" in read_all(client)


def test_probes_are_answered_while_every_thread_is_busy(serve: Callable[..., Served]) -> None:
    is_busy, may_end = threading.Event(), threading.Event()

    def application(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            is_busy.set()
            may_end.wait(60)
        start_response("200 OK", [])
        return [b"done"]

    served = serve(application, threads=1)
    with ExitStack() as clients:
        for _ in range(3):  # one request occupies the only thread, the others wait for it
            clients.enter_context(closing(served.connect())).sendall(CLOSED)
        assert is_busy.wait(60)
        probe = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        assert served.ask(probe).startswith(b"HTTP/1.1 200")
        may_end.set()

"""Seeing that a client has left, or does not read, before a write would tell or wait."""

import socket
from collections.abc import Iterator

import pytest

from aiinfra.gateway.client_socket import ClientSocket


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's end and the client's."""
    server, client = socket.socketpair()
    with server, client:
        yield server, client


def test_a_client_that_listens_is_there(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    seen = ClientSocket({"gunicorn.socket": server})
    assert not seen.is_gone()
    client.send(b"GET / HTTP/1.1")  # a pipelined request stays unread
    assert not seen.is_gone()
    assert server.recv(100) == b"GET / HTTP/1.1"


def test_a_client_that_closed_is_gone(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    client.close()
    assert ClientSocket({"gunicorn.socket": server}).is_gone()


def test_our_own_closed_end_counts_as_gone(ends: tuple[socket.socket, socket.socket]) -> None:
    server, _ = ends
    server.close()
    assert ClientSocket({"gunicorn.socket": server}).is_gone()


def test_a_client_that_does_not_read_can_be_told_from_one_that_does(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    seen = ClientSocket({"gunicorn.socket": server})
    assert seen.is_writable(0)
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            server.send(b"x" * 4096)
    assert not seen.is_writable(0)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        while client.recv(65536):
            pass
    assert seen.is_writable(0)


def test_without_gunicorn_nothing_is_seen() -> None:
    seen = ClientSocket({})
    assert (seen.is_gone(), seen.is_writable(0)) == (False, True)

"""Response bodies of outgoing HTTP: their size limits, their encoding, and their headers."""

import gzip
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx2
import pytest

from aiinfra import egress
from tests.support.tcp import server

HOST = "127.0.0.1"
LIMIT = 1_000
ERROR_LIMIT = 64 * 1024
STREAM = {"Accept": "text/event-stream, application/json"}


def answer(*pieces: bytes, status: str = "200 OK", headers: str = "") -> Callable[[socket.socket], None]:
    """Sends a response whose body arrives in these pieces."""

    def send(connection: socket.socket) -> None:
        connection.recv(65536)
        head = f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n{headers}\r\n"
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))
        with suppress(OSError):  # the client may stop reading
            connection.sendall(head.encode() + body)

    return send


@contextmanager
def calling(handler: Callable[[socket.socket], None], **options: int) -> Iterator[Callable[..., httpx2.Response]]:
    """Calls a server with this handler."""
    with server(handler) as port, egress.http_client(trusted_hosts=frozenset({HOST}), **options) as client:
        yield lambda **headers: client.get(f"http://{HOST}:{port}/", headers=headers)


@pytest.mark.parametrize("pieces", [[LIMIT], [LIMIT - 1, 1], [1, LIMIT - 1]])
def test_body_may_have_the_size_limit(pieces: list[int]) -> None:
    with calling(answer(*(b"x" * size for size in pieces)), body_bytes=LIMIT) as call:
        assert call().content == b"x" * LIMIT


@pytest.mark.parametrize("pieces", [[LIMIT + 1], [LIMIT, 1], [1, LIMIT], [LIMIT - 1, 1, 1]])
def test_larger_body_is_refused(pieces: list[int]) -> None:
    handler = answer(*(b"x" * size for size in pieces))
    with calling(handler, body_bytes=LIMIT) as call, pytest.raises(egress.AnswerTooLargeError):
        call()


def test_default_size_limit_is_16_mib() -> None:
    most = 16 * 1024 * 1024
    with calling(answer(b"x" * most)) as call:
        assert len(call().content) == most
    with calling(answer(b"x" * most, b"x")) as call, pytest.raises(egress.AnswerTooLargeError):
        call()


def test_stream_may_have_16_times_the_size_limit() -> None:
    with calling(answer(b"x" * 16 * LIMIT), body_bytes=LIMIT) as call:
        assert call(**STREAM).content == b"x" * 16 * LIMIT
        with pytest.raises(egress.AnswerTooLargeError):
            call(Accept="application/json")
    with calling(answer(b"x" * 16 * LIMIT, b"x"), body_bytes=LIMIT) as call, pytest.raises(egress.AnswerTooLargeError):
        call(**STREAM)


@pytest.mark.parametrize("pieces", [[ERROR_LIMIT + 1], [ERROR_LIMIT, 1, 1], [ERROR_LIMIT - 1, 2, 30_000, 30_000]])
@pytest.mark.parametrize("status", ["400 Bad Request", "503 Service Unavailable"])
def test_body_of_an_error_is_truncated(pieces: list[int], status: str) -> None:
    with calling(answer(*(b"x" * size for size in pieces), status=status)) as call:
        assert call().content == b"x" * ERROR_LIMIT


def test_body_of_an_error_has_its_own_limit() -> None:
    with calling(answer(b"x" * 600, b"y" * 600, status="400 Bad Request"), body_bytes=LIMIT) as call:
        assert call().content == b"x" * 600 + b"y" * 600


@pytest.mark.parametrize("name", ["Content-Encoding", "content-encoding"])
def test_compressed_body_is_decompressed_once_and_counted_afterwards(name: str) -> None:
    headers = f"{name}: gzip\r\n"
    with calling(answer(gzip.compress(b"x" * LIMIT), headers=headers), body_bytes=LIMIT) as call:
        response = call()
        assert response.content == b"x" * LIMIT
        assert "content-encoding" not in response.headers
    bomb = answer(gzip.compress(b"x" * 1_000_000), headers=headers)
    with calling(bomb, body_bytes=LIMIT) as call, pytest.raises(egress.AnswerTooLargeError):
        call()


def test_other_headers_and_the_reason_are_kept() -> None:
    headers = "Content-Type: text/plain\r\nRetry-After: 5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
    with calling(answer(b"no", status="429 Slow Down", headers=headers)) as call:
        response = call()
    assert (response.status_code, response.reason_phrase, response.text) == (429, "Slow Down", "no")
    assert (response.headers["content-type"], response.headers["retry-after"]) == ("text/plain", "5")
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "transfer-encoding" not in response.headers

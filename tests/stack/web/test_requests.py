"""Requests that the web server accepts or refuses before they reach the application."""

import json
import threading
from contextlib import closing

import pytest

from aiinfra.bodies import BODY_BYTES_MAX
from aiinfra.stack.web.connection import Connection
from aiinfra.stack.web.refusals import too_large
from aiinfra.stack.web.request import HEAD_BYTES_MAX
from tests.stack.web.conftest import Served, read_all

CLOSE = b"Host: a\r\nConnection: close\r\n"


def status_of(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


def body_of(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


def test_a_request_is_answered(served: Served) -> None:
    response = served.ask(b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n" + CLOSE + b"\r\nabc")
    assert json.loads(body_of(response)) == {"method": "POST", "path": "/a", "bytes": 3}


def test_two_requests_on_one_connection_are_answered_in_order(served: Served) -> None:
    response = served.ask(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert response.index(b'"/1"') < response.index(b'"/2"')


def test_a_chunked_body_is_passed_to_the_application(served: Served) -> None:
    head = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + CLOSE
    response = served.ask(head + b"\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert json.loads(body_of(response))["bytes"] == 5


def test_head_has_headers_and_no_body(served: Served) -> None:
    response = served.ask(b"HEAD /a HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert status_of(response) == 200
    assert body_of(response) == b""


@pytest.mark.parametrize(
    "head",
    [
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\nContent-Length: 3\r\n",
        b"POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n",
        b"GET /a HTTP/1.1\r\nHost: a\r\n X: folded\r\nbroken\r\n",
        b"GET /a HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\tchunked\r\n",
        b"GET http://evil.example/a HTTP/1.1\r\nHost: a\r\n",
        b"GET /a HTTP/1.1\r\nHost: a\r\nHost: evil.example\r\n",
        b"GET /a HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n",
        b"GET /a HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: \xb3\r\n",
        b"GET /a HTTP/1.1\r\n",
        b"get /a HTTP/1.1\r\nHost: a\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n",
        b"GET /a HTTP/1.1\nHost: a\n",
    ],
)
def test_ambiguous_framing_is_refused(served: Served, head: bytes) -> None:
    response = served.ask(head + b"\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status_of(response) == 400
    assert b"smuggled" not in response
    assert response.count(b"HTTP/1.") == 1


@pytest.mark.parametrize("header", [b"Content-Length: 3\r\n", b""])
def test_an_unsupported_transfer_encoding_is_refused(served: Served, header: bytes) -> None:
    response = served.ask(b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n" + header + b"\r\n")
    assert status_of(response) in {400, 501}


@pytest.mark.parametrize("path", ["/a", "/api/ai/chat"])
def test_a_body_that_is_too_large_is_refused_by_its_content_length(served: Served, path: str) -> None:
    length = BODY_BYTES_MAX + 1
    response = served.ask(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nx".encode())
    assert status_of(response) == 413
    if path == "/a":
        assert body_of(response).decode() == f"The body is larger than {BODY_BYTES_MAX} bytes.\n"
        return
    error = json.loads(body_of(response))["error"]
    assert (error["type"], error["param"], error["requestId"]) == ("too_large", None, None)


@pytest.mark.parametrize(
    ("line", "type_", "members"),
    [
        (b"POST /v1/nothing", "invalid_request_error", {"error"}),
        (b"post //v1/chat/completions", "invalid_request_error", {"error"}),
        (b"POST http://a/v1/chat/completions", "invalid_request_error", {"error"}),
        (b"POST /v1/messages?beta=true", "request_too_large", {"type", "error", "request_id"}),
    ],
)
def test_an_error_has_the_format_of_its_endpoint(served: Served, line: bytes, type_: str, members: set[str]) -> None:
    body = too_large(BODY_BYTES_MAX, line + b" HTTP/1.1\r\n").to_response()[2]
    found = json.loads(body)
    assert (found["error"]["type"], set(found)) == (type_, members)
    head = line.upper().replace(b"/V1", b"/v1") + b" HTTP/1.1\r\nHost: a\r\nX: "
    assert status_of(served.ask(head + b"x" * HEAD_BYTES_MAX + b"\r\n\r\n")) == 431


def test_server_error_messages_are_sentences(served: Served) -> None:
    response = served.ask(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")
    assert status_of(response) == 400
    assert json.loads(body_of(response))["error"]["message"].endswith("invalid.")


def test_the_largest_body_is_accepted(served: Served) -> None:
    head = f"POST /a HTTP/1.1\r\nContent-Length: {BODY_BYTES_MAX}\r\n".encode() + CLOSE + b"\r\n"
    assert json.loads(body_of(served.ask(head + b"x" * BODY_BYTES_MAX)))["bytes"] == BODY_BYTES_MAX


def test_a_chunked_body_over_the_limit_is_refused_before_it_ends(served: Served) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with closing(served.connect()) as client:
        client.sendall(b"POST /api/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 17)
        response = read_all(client)
    assert status_of(response) == 413
    assert "Content-Length" in json.loads(body_of(response))["error"]["message"]


def test_expect_continue_gets_413_if_the_body_is_too_large(served: Served) -> None:
    length = BODY_BYTES_MAX + 1
    head = f"POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    assert status_of(served.ask(head.encode())) == 413


def test_expect_continue_gets_100_for_an_acceptable_body(served: Served) -> None:
    with closing(served.connect()) as client:
        client.sendall(b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n" + CLOSE + b"\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert json.loads(body_of(read_all(client)))["bytes"] == 3


def test_a_client_that_keeps_sending_receives_the_error(served: Served) -> None:
    """If the server closed the connection immediately, the operating system would discard the response."""
    with closing(served.connect()) as client:
        client.sendall(f"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {2 * BODY_BYTES_MAX}\r\n\r\n".encode())
        client.sendall(b"x" * 2 * BODY_BYTES_MAX)
        assert status_of(read_all(client)) == 413


@pytest.mark.parametrize("end", [b"\r\n\r\n", b""])
def test_large_headers_are_refused(served: Served, end: bytes) -> None:
    response = served.ask(b"GET /api/a HTTP/1.1\r\nHost: a\r\nX: " + b"x" * HEAD_BYTES_MAX + end)
    assert status_of(response) == 431
    assert json.loads(body_of(response))["error"]["type"] == "headers_too_large"


def test_two_threads_never_send_the_same_bytes(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    send = Connection.send
    others: list[threading.Thread] = []

    def interrupted(self: Connection, data: bytes, do_close: bool = True) -> int:
        if not others:
            others.append(threading.Thread(target=self._flush_some))
            others[0].start()
            others[0].join(0.2)
        return send(self, data, do_close)

    monkeypatch.setattr(Connection, "send", interrupted)
    assert served.ask(b"GET /a HTTP/1.1\r\n" + CLOSE + b"\r\n").count(b"HTTP/1.1 200 OK") == 1
    others[0].join()

"""Attacks on the deployed web server: slow clients, large bodies, and forged framing."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection

import psutil
import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.bodies import BODY_BYTES_MAX
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization, User
from tests.api.support import CHAT, FILES, MESSAGES_DOOR, new_key
from tests.stack.web.conftest import read_all
from tests.support.processes import wait_until
from tests.support.web import Web

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

SLOW_CLIENTS = 300
LONG_HEAD = b"GET /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"x" * 10_000
BODY_HEAD = b"POST /api/ai/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n"
GROWTH_BYTES_MAX = 50 * 1024 * 1024
ROUNDS = 25


@contextmanager
def slow_clients(web: Web) -> Iterator[None]:
    """A third of the clients sends its headers byte by byte, a third its body, and a third nothing."""
    is_over = threading.Event()
    with ExitStack() as connections:
        clients = [connections.enter_context(connect(web)) for _ in range(SLOW_CLIENTS)]
        for client in clients[1::3]:
            client.sendall(BODY_HEAD)

        def trickle() -> None:
            for place in range(len(LONG_HEAD)):
                for client in clients[0::3]:
                    send(client, LONG_HEAD[place : place + 1])
                for client in clients[1::3]:
                    send(client, b"x")
                if is_over.wait(0.2):
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        yield
        is_over.set()
        thread.join()


def send(client: socket.socket, data: bytes) -> None:
    try:
        client.sendall(data)
    except OSError:
        client.close()


def connect(web: Web) -> socket.socket:
    return socket.create_connection(("127.0.0.1", web.port), 60)


def get(web: Web, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", web.port, timeout=60)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def memory(web: Web) -> int:
    family = psutil.Process(web.pid).children()
    return sum(process.memory_info().rss for process in family)


def test_slow_clients_do_not_block_requests_and_use_little_memory(serve: Callable[..., Web]) -> None:
    web = serve(DEBUG="true")
    for _ in range(ROUNDS):
        assert [get(web, "/healthz"), get(web, reverse("login"))] == [200, 200]
    before = memory(web)
    with slow_clients(web):
        for _ in range(ROUNDS):
            assert [get(web, "/healthz"), get(web, reverse("login"))] == [200, 200]
        assert memory(web) - before < GROWTH_BYTES_MAX


def post(web: Web, path: str, size: int, headers: dict[str, str], send_all: bool = True) -> tuple[int, str]:
    """Announce a body of this size, and send all or nothing of it; return status and body of the response."""
    connection = HTTPConnection("127.0.0.1", web.port, timeout=60)
    try:
        connection.putrequest("POST", path)
        for name, value in {"Content-Length": str(size), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        if send_all:
            connection.send(b"x" * size)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


def test_large_body_is_rejected_before_it_is_sent(
    serve: Callable[..., Web], owner: User, client_of: Callable[[User], Client]
) -> None:
    web = serve(WEB_PROCESSES="1")
    session = {"Cookie": f"sessionid={client_of(owner).session.session_key}"}
    upload = reverse("finance_invoice_upload")
    paths = [reverse("login"), "/nothing-here/", "/api/ai/chat", "/api/nothing", reverse("members"), "/static/x"]
    for path in paths:
        assert post(web, path, 150 * BODY_BYTES_MAX, MULTIPART | session, send_all=False)[0] == 413, path
        assert post(web, path, BODY_BYTES_MAX + 1, MULTIPART | session, send_all=False)[0] == 413, path
    forged = {"Cookie": "sessionid=" + "x" * 32}
    for headers in (MULTIPART, MULTIPART | forged):
        assert post(web, upload, BODY_BYTES_MAX + 1, headers, send_all=False)[0] == 413
    assert post(web, upload, 12 * BODY_BYTES_MAX, MULTIPART | session, send_all=False)[0] == 413


def test_logged_in_user_can_upload_a_large_invoice(
    serve: Callable[..., Web], owner: User, client_of: Callable[[User], Client]
) -> None:
    """The CSRF check returns 403, so the body was accepted and read."""
    web = serve(WEB_PROCESSES="1", DEBUG="true")
    session = {"Cookie": f"sessionid={client_of(owner).session.session_key}"}
    status, text = post(web, reverse("finance_invoice_upload"), 2 * BODY_BYTES_MAX, MULTIPART | session)
    assert (status, "CSRF" in text) == (403, True)
    asked = {"Expect": "100-continue"}
    with connect(web) as client:
        head = [f"POST {reverse('finance_invoice_upload')} HTTP/1.1", "Host: 127.0.0.1"]
        head += [f"{name}: {value}" for name, value in {**MULTIPART, **session, **asked}.items()]
        client.sendall("\r\n".join([*head, f"Content-Length: {2 * BODY_BYTES_MAX}", "", ""]).encode())
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"x" * 2 * BODY_BYTES_MAX)
        assert client.recv(12) == b"HTTP/1.1 403"


def test_api_key_can_upload_a_large_file(serve: Callable[..., Web], organization: Organization) -> None:
    """The response 400 says that the form has no file, so the body was accepted and read."""
    web = serve(WEB_PROCESSES="1")
    text = new_key(organization, Role.OPERATOR)
    key = {"Authorization": f"Bearer {text}"}
    forged_key = text[:-1] + ("y" if text[-1] == "x" else "x")
    assert post(web, FILES, 2 * BODY_BYTES_MAX, MULTIPART | key)[0] == 400
    assert post(web, FILES, 60 * BODY_BYTES_MAX, MULTIPART | key, send_all=False)[0] == 413
    assert post(web, CHAT, 2 * BODY_BYTES_MAX, MULTIPART | key, send_all=False)[0] == 413
    for forged in ({}, {"Authorization": "Bearer aik_x"}, {"Authorization": f"Bearer {forged_key}"}):
        assert post(web, FILES, 2 * BODY_BYTES_MAX, MULTIPART | forged, send_all=False)[0] == 401
        assert post(web, FILES, 2 * BODY_BYTES_MAX, MULTIPART | forged)[0] == 401


def test_api_key_can_send_a_large_call(serve: Callable[..., Web], organization: Organization) -> None:
    """The response 415 says that the body is not JSON, so the body was accepted and read."""
    web = serve(WEB_PROCESSES="1")
    key = {"x-api-key": new_key(organization, Role.OPERATOR)}
    assert post(web, MESSAGES_DOOR, 2 * BODY_BYTES_MAX, MULTIPART | key)[0] == 415
    assert post(web, MESSAGES_DOOR, 17 * BODY_BYTES_MAX, MULTIPART | key, send_all=False)[0] == 413
    for forged in ({}, {"x-api-key": "aik_x"}):
        for send_all in (False, True):
            status, text = post(web, MESSAGES_DOOR, 2 * BODY_BYTES_MAX, MULTIPART | forged, send_all)
            assert (status, json.loads(text)["error"]["type"]) == (401, "authentication_error")
    announced = f"POST {MESSAGES_DOOR} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {2 * BODY_BYTES_MAX}\r\n\r\n"
    with connect(web) as client:
        client.sendall(announced.encode() + b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert read_all(client).count(b"HTTP/1.1 ") == 1


def test_server_finishes_requests_in_progress_before_it_stops(serve: Callable[..., Web]) -> None:
    web = serve(WEB_PROCESSES="1")
    with connect(web) as idle, connect(web) as busy:
        busy.sendall(b"POST /nothing-here/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\nab")
        wait_until(lambda: get(web, "/healthz") == 200, "the server")
        stopping = threading.Thread(target=web.stop)
        stopping.start()
        assert idle.recv(1) == b""
        busy.sendall(b"cd")
        response = busy.recv(65536)
        assert b"Connection: close" in response
        stopping.join()

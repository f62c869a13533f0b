"""Address checks and deadlines of outgoing HTTP."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext

import httpcore2
import httpx2
import pytest

from aiinfra import egress
from tests.support.processes import free_port
from tests.support.tcp import OK, Recorder, server

LOCAL = frozenset({"127.0.0.1", "localhost", "service.internal"})


@pytest.fixture(autouse=True)
def _clients_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close every client after its test, so that no later test fails with a ResourceWarning for its socket."""
    with ExitStack() as clients:
        make = egress.http_client
        monkeypatch.setattr(egress, "http_client", lambda **options: clients.enter_context(make(**options)))
        yield


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[object]:
        if host in addresses:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/", "http://localhost:{}/", "http://2130706433:{}/"])
def test_private_address_of_an_untrusted_host_is_refused(url: str) -> None:
    with server(Recorder(OK)) as port, pytest.raises(egress.EgressRefusedError):
        egress.http_client().get(url.format(port))


def test_trusted_host_may_have_a_private_address() -> None:
    with server(Recorder(OK)) as port:
        client = egress.http_client(trusted_hosts=LOCAL)
        assert client.get(f"http://127.0.0.1:{port}/").text == "ok"


def test_private_and_unknown_host_names_give_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for addresses in (("10.0.0.5",), ()):
        resolve_to(monkeypatch, *addresses)
        if not addresses:
            monkeypatch.setattr(socket, "getaddrinfo", raise_unknown_name)
        with pytest.raises(egress.EgressRefusedError) as refused:
            egress.http_client().get("http://wiki.corp.example/")
        said.append(str(refused.value))
    assert said == ["wiki.corp.example has no public address"] * 2


def raise_unknown_name(*_: object, **__: object) -> None:
    raise socket.gaierror("Name or service not known")


def test_host_with_public_and_private_addresses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "8.8.8.8", "127.0.0.1")
    with pytest.raises(egress.EgressRefusedError):
        egress.http_client().get("http://rebinding.example/")


def test_public_addresses_of_any_host_are_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "8.8.8.8", "1.1.1.1")
    tried = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(httpx2.ConnectError):
        egress.http_client().get("http://public.example/")
    assert tried == [("8.8.8.8", 80), ("1.1.1.1", 80)]


def test_socket_connects_to_the_checked_address_with_the_original_host_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: a second lookup would return another address, so the name must be resolved only once."""
    resolve, answers, asked = socket.getaddrinfo, ["127.0.0.1", "127.0.0.2"], []

    def rebinding(host: str, port: int, *rest: object, **more: object) -> object:
        if host != "service.internal":
            return resolve(host, port, *rest, **more)  # type: ignore[arg-type]
        asked.append(host)
        return resolve(answers[min(len(asked), len(answers)) - 1], port, type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    handler = Recorder(OK)
    with server(handler) as port:
        response = egress.http_client(trusted_hosts=LOCAL).get(f"http://service.internal:{port}/")
    assert (response.text, asked) == ("ok", ["service.internal"])
    assert f"Host: service.internal:{port}" in handler.request


def test_the_next_address_is_tried_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(Recorder(OK)) as port:
        resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
        assert egress.http_client(trusted_hosts=LOCAL).get(f"http://service.internal:{port}/").text == "ok"
        resolve_to(monkeypatch, "127.0.0.2", "127.0.0.3")
        with pytest.raises(httpx2.ConnectError):
            egress.http_client(trusted_hosts=LOCAL).get(f"http://service.internal:{port}/")


def test_trusted_hosts_match_case_insensitively() -> None:
    with server(Recorder(OK)) as port:
        assert egress.http_client(trusted_hosts=LOCAL).get(f"http://LOCALHOST:{port}/").text == "ok"


def test_host_without_an_address_raises_a_connect_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> list[object]:
        raise socket.gaierror("no such name")

    for answer in (fail, lambda *_, **__: []):
        monkeypatch.setattr(socket, "getaddrinfo", answer)
        with pytest.raises(httpx2.ConnectError):
            egress.http_client(trusted_hosts=LOCAL).get("http://service.internal/")


def test_unknown_trusted_host_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", raise_unknown_name)
    with pytest.raises(httpx2.ConnectError, match=r"could not resolve service\.internal"):
        egress.http_client(trusted_hosts=LOCAL).get("http://service.internal/")


def test_a_redirect_is_not_followed() -> None:
    with server(Recorder("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")) as port:
        assert egress.http_client(trusted_hosts=LOCAL).get(f"http://127.0.0.1:{port}/").status_code == 302


def test_credentials_in_the_url_are_refused() -> None:
    with pytest.raises(egress.EgressRefusedError):
        egress.http_client(trusted_hosts=LOCAL).get(f"http://user:secret@127.0.0.1:{free_port()}/")


def test_proxy_environment_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with server(Recorder(OK)) as port:
        client = egress.http_client(trusted_hosts=LOCAL)
        assert client.get(f"http://127.0.0.1:{port}/").text == "ok"


def test_slow_response_is_cut_off_at_the_deadline() -> None:
    stopped = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        try:
            while not stopped.wait(0.05):
                connection.sendall(b"x")
        except OSError:
            pass

    with server(drip) as port:
        client = egress.http_client(trusted_hosts=LOCAL)
        with pytest.raises(httpx2.ReadTimeout), egress.deadline(0.5):
            client.get(f"http://127.0.0.1:{port}/", timeout=egress.timeouts(30))
        stopped.set()


def test_nothing_is_sent_after_the_deadline() -> None:
    with server(Recorder(OK)) as port:
        client = egress.http_client(trusted_hosts=LOCAL)
        with egress.deadline(0.01):
            time.sleep(0.02)
            with pytest.raises(httpx2.ConnectTimeout):
                client.get(f"http://127.0.0.1:{port}/")


def test_deadline_applies_only_within_its_block() -> None:
    with egress.deadline(0.01):
        time.sleep(0.02)
    with server(Recorder(OK)) as port:
        client = egress.http_client(trusted_hosts=LOCAL)
        assert client.get(f"http://127.0.0.1:{port}/").text == "ok"


def test_connect_timeout_never_exceeds_the_total_timeout() -> None:
    assert egress.timeouts(30).connect == 5
    assert egress.timeouts(2).connect == 2
    assert egress.timeouts(30).read == 30


@pytest.mark.parametrize(("total_s", "idle_s", "read_s"), [(30, 5, 5), (3, 5, 3)])
def test_read_times_out_without_a_byte_and_at_the_total_timeout(total_s: float, idle_s: float, read_s: float) -> None:
    assert egress.timeouts(total_s, idle_s).read == read_s


class RecordingStream(httpcore2.NetworkStream):
    """Records its calls and their timeouts."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.asked.append(("read", max_bytes, timeout))
        return b"text"

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.asked.append(("write", buffer, timeout))

    def close(self) -> None:
        self.asked.append("close")

    def start_tls(
        self, ssl_context: object, server_hostname: str | None = None, timeout: float | None = None
    ) -> "RecordingStream":
        self.asked.append(("start_tls", ssl_context, server_hostname, timeout))
        return self

    def get_extra_info(self, info: str) -> str | None:
        return "about a socket" if info == "socket" else None


@pytest.mark.parametrize(
    ("timeout", "seconds", "limit"),
    [(None, None, None), (5.0, None, 5.0), (None, 3.0, 3.0), (5.0, 3.0, 3.0), (2.0, 3.0, 2.0)],
)
def test_each_operation_uses_the_shorter_of_its_timeout_and_the_deadline(
    monkeypatch: pytest.MonkeyPatch, timeout: float | None, seconds: float | None, limit: float | None
) -> None:
    monkeypatch.setattr("aiinfra.egress.time.monotonic", lambda: 100.0)
    inner = RecordingStream()
    stream = egress._DeadlineStream(inner)
    with egress.deadline(seconds) if seconds else nullcontext():
        assert stream.read(9, timeout) == b"text"
        stream.write(b"hi", timeout)
        inside = stream.start_tls("context", "example.com", timeout)
        inside.write(b"secret", timeout)
        stream.close()
    assert stream.get_extra_info("socket") == "about a socket"
    assert inner.asked == [
        ("read", 9, limit),
        ("write", b"hi", limit),
        ("start_tls", "context", "example.com", limit),
        ("write", b"secret", limit),
        "close",
    ]


def test_no_operation_starts_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("aiinfra.egress.time.monotonic", lambda: now)
    inner = RecordingStream()
    stream = egress._DeadlineStream(inner)
    with egress.deadline(3.0):
        now = 103.0
        for error, step in [
            (httpcore2.ReadTimeout, lambda: stream.read(9, 5.0)),
            (httpcore2.WriteTimeout, lambda: stream.write(b"hi", 5.0)),
            (httpcore2.ConnectTimeout, lambda: stream.start_tls("context", "example.com", 5.0)),
        ]:
            with pytest.raises(error):
                step()
        with pytest.raises(httpx2.ConnectTimeout):
            egress.http_client(trusted_hosts=LOCAL).get("http://127.0.0.1:1/")
    assert inner.asked == []


def test_tls_uses_the_original_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is checked against the host name, although the socket connects to an IP address."""
    opened, inner = [], RecordingStream()

    def connect_tcp(_backend: object, host: str, *_: object, **__: object) -> RecordingStream:
        opened.append(host)
        return inner

    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", connect_tcp)
    resolve_to(monkeypatch, "127.0.0.1")
    with pytest.raises(httpx2.TransportError):  # the stream's response is not valid HTTP
        egress.http_client(trusted_hosts=LOCAL).get("https://service.internal/")
    assert opened == ["127.0.0.1"]
    assert [step[2] for step in inner.asked if step[0] == "start_tls"] == ["service.internal"]  # type: ignore[index]


def test_certificates_are_verified() -> None:
    client = egress.http_client()
    context = client._transport._pool._ssl_context  # type: ignore[attr-defined]
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)

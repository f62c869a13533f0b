import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiinfra.stack import control

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n"
FAULT = b"""<?xml version="1.0"?><methodResponse><fault><value><struct>
<member><name>faultCode</name><value><int>30</int></value></member>
<member><name>faultString</name><value><string>FAILED</string></value></member>
</struct></value></fault></methodResponse>"""


@contextmanager
def fake_supervisor(answer: bytes, data_dir: Path) -> Iterator[None]:
    """Serve the same response to every request on the supervisor's socket."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(control.socket_path(data_dir)))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_the_socket_is_in_the_data_directory() -> None:
    assert control.socket_path(Path("/srv/aiinfra/var")) == Path("/srv/aiinfra/var/supervisor.sock")


def test_a_long_data_directory_path_uses_a_short_private_socket_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second = (control.socket_path(tmp_path / name / ("d" * 120)) for name in ("one", "two"))
    assert first != second
    assert first.parent.parent == tmp_path
    assert first.parent.stat().st_mode & 0o077 == 0


def test_a_socket_directory_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    control.socket_path(tmp_path / ("d" * 120)).parent.rmdir()
    (tmp_path / f"aiinfra-{os.geteuid()}").symlink_to(elsewhere)
    with pytest.raises(PermissionError, match="another user"):
        control.socket_path(tmp_path / ("d" * 120))


def test_the_error_says_how_to_start_if_nothing_is_running(tmp_path: Path) -> None:
    with pytest.raises(control.NotRunningError, match="make run"):
        control.find_supervisor(tmp_path)


def test_an_unused_socket_means_that_the_supervisor_was_killed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(control.socket_path(tmp_path)))
    with pytest.raises(control.NotRunningError, match="was killed"):
        control.find_supervisor(tmp_path)


def test_a_supervisor_of_another_user_is_not_reported_as_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(control._Connection, "connect", refuse)
    with pytest.raises(control.NotAllowedError, match="Another user"):
        control.find_supervisor(tmp_path)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 500 Broken\r\n\r\n", b"nonsense\r\n", OK + b"<not xml", OK + FAULT])
def test_an_invalid_response_is_not_reported_as_stopped(tmp_path: Path, answer: bytes) -> None:
    with fake_supervisor(answer, tmp_path), pytest.raises(control.UnreachableError, match="is not responding"):
        control.find_supervisor(tmp_path)


def test_a_hanging_supervisor_is_not_reported_as_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ANSWER_LIMIT_S", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(control.socket_path(tmp_path)))
        listener.listen()
        with pytest.raises(control.UnreachableError):
            control.find_supervisor(tmp_path)

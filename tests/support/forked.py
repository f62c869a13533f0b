"""Starts the product's Python programs without a new interpreter for each; see `tests.support.fork_server`."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
ANSWER_BYTES_MAX = 100
SERVER = (sys.executable, "-m", "tests.support.fork_server")
OF_PYTEST = "PYTEST_CURRENT_TEST"
"""A variable that pytest changes for each test and that programs ignore."""
FORKED = {"-m", "manage.py"}
"""The first argument of programs that can be forked."""


def begin(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    stdin: IO[Any] | int = 0,
    stdout: IO[Any] | int = 1,
    stderr: IO[Any] | int = 2,
    new_session: bool = False,
) -> "subprocess.Popen[bytes] | Forked":
    """Start a command in the project's directory, with this environment and these files.

    Python programs with the same import path as the tests are forked.
    """
    if argv[0] == sys.executable and argv[1] in FORKED and env.get("PYTHONPATH") == os.environ.get("PYTHONPATH"):
        files = [each if isinstance(each, int) else each.fileno() for each in (stdin, stdout, stderr)]
        return Forked(_server_for(env), argv[1:], env, files, new_session=new_session)
    return subprocess.Popen(
        argv, cwd=ROOT, env=env, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=new_session
    )


def run(
    argv: Sequence[str], env: Mapping[str, str], timeout_s: float | None = None, *, check: bool = False
) -> subprocess.CompletedProcess[str]:
    """Like `subprocess.run`, with all output captured. Raises CalledProcessError (`check`) and TimeoutExpired."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = begin(argv, env, stdout=output, stderr=errors)
        try:
            process.wait(timeout_s)
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        errors.seek(0)
        done = subprocess.CompletedProcess(argv, process.returncode or 0, output.read(), errors.read())
    if check:
        done.check_returncode()
    return done


class Forked:
    """A forked process with the methods of `subprocess.Popen` that the tests use."""

    def __init__(
        self,
        server: socket.socket,
        arguments: Sequence[str],
        env: Mapping[str, str],
        files: Sequence[int],
        *,
        new_session: bool,
    ) -> None:
        self.returncode: int | None = None
        self._arguments = arguments
        order = {"arguments": [*arguments], "environment": {**env}, "new_session": new_session}
        self._reports, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(server, [json.dumps(order).encode()], [theirs.fileno(), *files])
        self.pid = int(self._reports.recv(ANSWER_BYTES_MAX))

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self._reports.settimeout(timeout)
            try:
                self.returncode = int(self._reports.recv(ANSWER_BYTES_MAX))
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired(self._arguments, timeout or 0) from None
            self._reports.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


_loaded: dict[frozenset[tuple[str, str]], socket.socket] = {}
"""Servers that have loaded the product, by environment."""


@contextmanager
def product_loaded(env: Mapping[str, str]) -> Iterator[None]:
    """Within the block, fork programs with this environment from a process that has loaded the product's code."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = begin([*SERVER, "product"], env, stdin=theirs, new_session=True)
    _loaded[_key(env)] = ours
    try:
        yield
    finally:
        _loaded.pop(_key(env)).close()
        server.wait()


def _server_for(env: Mapping[str, str]) -> socket.socket:
    return _loaded.get(_key(env)) or _server()


def _key(env: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in env.items() if name != OF_PYTEST)


@cache
def _server() -> socket.socket:
    """The order socket of the server with all libraries, which ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        # Ctrl-C must not reach the server.
        server = subprocess.Popen([*SERVER, "libraries"], cwd=ROOT, stdin=theirs, start_new_session=True)

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours

"""Starts real processes for tests and ends exactly those."""

import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2

from tests.support.forked import Forked, begin

ROOT = Path(__file__).resolve().parent.parent.parent
START_LIMIT_S = 120
STOP_LIMIT_S = 30
PAUSE_S, PAUSE_MAX_S = 0.02, 0.5
PAUSES_PER_LOOK = 5

_http = httpx2.Client(trust_env=False, timeout=5)


def free_port() -> int:
    """A port that is not in use.

    It is below the ephemeral ports, so that no outgoing connection takes it before the server starts.
    """
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


@contextmanager
def start(
    argv: Sequence[str], env: Mapping[str, str] | None = None, ready_url: str = ""
) -> Iterator[subprocess.Popen[bytes] | Forked]:
    """Run a command in the project's directory until the block ends; `env` adds to this process's environment.

    With `ready_url`, the block begins when that URL responds. Raises AssertionError if the command ends before.
    """
    process = begin(argv, {**os.environ, **(env or {})})
    try:
        if ready_url:
            wait_until(lambda: process.poll() is not None or answers(ready_url), f"{ready_url} to answer")
            assert process.poll() is None, f"{argv} ended with status {process.returncode}"
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes] | Forked) -> None:
    """Terminate a process, and kill it if it does not end."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], object], what: str, limit_s: float = START_LIMIT_S) -> None:
    """Poll until the condition holds. Raises AssertionError naming `what` after `limit_s` seconds.

    The pauses grow with the cost of the condition, so that polling takes little CPU from the awaited process.
    """
    end = time.monotonic() + limit_s
    while True:
        began_at = time.monotonic()
        if condition():
            return
        assert began_at < end, f"waited {limit_s} s for {what}"
        time.sleep(min(max(PAUSE_S, PAUSES_PER_LOOK * (time.monotonic() - began_at)), PAUSE_MAX_S))


def answers(url: str) -> bool:
    """Whether the URL responds with a success status."""
    try:
        return _http.get(url).is_success
    except httpx2.HTTPError:
        return False

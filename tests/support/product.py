"""The whole product, started with `manage.py run` and default settings."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from aiinfra.stack.control import NotRunningError
from aiinfra.stack.status import status
from tests.support.processes import ROOT, free_port, wait_until

MANAGE = (sys.executable, "manage.py")
START_S = 300
STOP_S = 300
BANNER_END = "Press Ctrl-C to stop"


@dataclass
class Run:
    """One `manage.py run` with its own data directory."""

    port: int
    data_dir: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def output(self) -> str:
        """The terminal output so far."""
        return (self.data_dir.parent / "terminal").read_text(encoding="utf-8")

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another `manage.py` command in the same environment."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self) -> dict[str, int]:
        """Name -> process ID, according to `status`. Requires `settings.DATA_DIR` to be this run's."""
        try:
            return {process.name: process.pid for process in status().processes}
        except NotRunningError:
            return {}

    def leftovers(self) -> list[psutil.Process]:
        """Processes that have this run's data directory in their environment."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("AIINFRA_DATA_DIR") == str(self.data_dir)
        except psutil.Error:
            return False


def free_ports(count: int) -> int:
    """The first of `count` consecutive free ports."""
    while True:
        first = free_port()
        if first + count < 65536 and all(_is_free(first + offset) for offset in range(1, count)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def start_run(tmp_path: Path, **more: str) -> Run:
    """Start the product with default settings."""
    data_dir, port = tmp_path / "data", free_ports(3)
    plain = dict.fromkeys(("REDIS_URL", "DATABASE_URL", "OPENAI_API_KEY", "DEEPSEEK_API_KEY", "ANTHROPIC_API_KEY"), "")
    own = {"PORT": str(port), "AIINFRA_DATA_DIR": str(data_dir), "WORKER_PROCESSES": "2", "WORKER_NICE": "0"}
    env = {**os.environ, **plain, **own, **more}
    with (tmp_path / "terminal").open("wb") as terminal:
        process = subprocess.Popen([*MANAGE, "run"], cwd=ROOT, env=env, stdout=terminal, stderr=terminal)
    return Run(port, data_dir, env, process)


@contextmanager
def running(tmp_path: Path, **more: str) -> Iterator[Run]:
    """A product that has shown its banner. Leftover processes of a failed test are ended."""
    run = start_run(tmp_path, **more)
    try:
        wait_until(lambda: BANNER_END in run.output or run.process.poll() is not None, "the banner", START_S)
        assert BANNER_END in run.output, run.output
        yield run
    finally:
        run.process.terminate()
        run.process.wait(STOP_S)
        for process in run.leftovers():
            process.kill()

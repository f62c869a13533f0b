"""The whole product as a person starts it, with each of its processes killed in turn."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from aiinfra.stack.control import NotRunningError
from aiinfra.stack.status import status
from tests.support.processes import ROOT, answers, free_port, wait_until

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="starts its own SQLite; once is enough"),
]

MANAGE = (sys.executable, "manage.py")
START_S = 300
STOP_S = 60
BANNER_END = "Press Ctrl-C to stop"
ALL = {"redis", "sandbox", "scheduler", "workers", "workers-1", "workers-2", "web", "web-1", "web-2"}


@dataclass
class Run:
    """One `manage.py run` in a data directory of its own."""

    port: int
    data_dir: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def output(self) -> str:
        """What it has shown so far."""
        return (self.data_dir.parent / "terminal").read_text(encoding="utf-8")

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another `manage.py` command beside it."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self) -> dict[str, int]:
        """Name and id of each, as `status` tells them; `settings.DATA_DIR` has to be this run's."""
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


@pytest.fixture(autouse=True)
def _a_terminal_that_can_close() -> Iterator[None]:
    """Under nohup the tests ignore SIGHUP, and what they start inherits that."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
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
    """Start it with the settings of a machine on which nothing is configured."""
    data_dir, port = tmp_path / "data", free_ports(3)
    plain = dict.fromkeys(("REDIS_URL", "DATABASE_URL", "OPENAI_API_KEY", "DEEPSEEK_API_KEY", "ANTHROPIC_API_KEY"), "")
    own = {"PORT": str(port), "AIINFRA_DATA_DIR": str(data_dir), "WORKER_PROCESSES": "2"}
    env = {**os.environ, **plain, **own, **more}
    with (tmp_path / "terminal").open("wb") as terminal:
        process = subprocess.Popen([*MANAGE, "run"], cwd=ROOT, env=env, stdout=terminal, stderr=terminal)
    return Run(port, data_dir, env, process)


@contextmanager
def running(tmp_path: Path, **more: str) -> Iterator[Run]:
    """A product that shows its banner; whatever a failed test leaves is ended."""
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


def end(run: Run, signum: signal.Signals) -> None:
    """Ask it to stop and see that nothing is left of it."""
    run.process.send_signal(signum)
    assert run.process.wait(STOP_S) == 0
    assert not run.leftovers()


def whole(run: Run) -> dict[str, int]:
    """Every process, once the web server answers: one that is still starting has children of a moment, too."""
    seen: dict[str, int] = {}

    def is_whole() -> bool:
        nonlocal seen
        seen = run.processes()
        return seen.keys() >= ALL and answers(f"http://127.0.0.1:{run.port}/readyz")

    wait_until(is_whole, "all processes")
    return seen


def kill(run: Run, name: str) -> None:
    """Kill one process of a whole product and wait until another is in its place."""
    old = whole(run)[name]
    with suppress(ProcessLookupError):
        os.kill(old, signal.SIGKILL)
    wait_until(lambda: old not in whole(run).values(), f"a new {name}")


def test_the_banners_command_works_what_is_killed_comes_back_and_ctrl_c_leaves_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    with running(tmp_path) as run:
        settings.DATA_DIR = run.data_dir
        processes = whole(run)
        listed = json.loads(run.command("status", "--json").stdout)["processes"]
        assert {process["name"]: process["pid"] for process in listed} == processes
        assert "already running" in run.command("run").stderr

        script = run.output[run.output.index("KEY=") : run.output.index("Logs: ")]
        said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
        assert '"status":"completed"' in said

        for name in sorted(ALL):
            kill(run, name)
        assert re.search(r"^workers +\* exited unexpectedly; restarting", run.output, re.MULTILINE)
        end(run, signal.SIGINT)


def test_without_redis_on_the_path_the_bundled_one_is_used_and_the_next_run_keeps_the_data(
    settings: Settings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path / "data"
    with running(tmp_path, PATH=str(tmp_path)) as run:
        assert psutil.Process(run.processes()["redis"]).name() == "valkey-server"
        assert "Redis keeps an append-only file" in run.command("doctor").stdout
        stopped = run.command("stop")
        assert stopped.returncode == 0, stopped.stderr
        assert run.process.wait(STOP_S) == 0
        assert run.command("status").returncode == 1
        assert not run.leftovers()
    with running(tmp_path) as again:
        assert (again.data_dir / "demo_api_key").read_text(encoding="utf-8") in again.output
        end(again, signal.SIGHUP)

"""The complete product as started by `manage.py run`, with each of its processes killed in turn."""

import json
import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from tests.support.processes import answers, wait_until
from tests.support.product import STOP_S, Run, running

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="starts its own SQLite; once is enough"),
]

ALL = {"redis", "sandbox", "scheduler", "workers", "workers-1", "workers-2", "web", "web-1", "web-2"}


def stop_with_ctrl_c(run: Run) -> None:
    """Send SIGINT and check that all processes exit."""
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(STOP_S) == 0
    assert not run.leftovers()


def running_processes(run: Run) -> dict[str, int]:
    """All processes by name, once the web server is ready. While starting, there are also short-lived children."""
    seen: dict[str, int] = {}

    def is_whole() -> bool:
        nonlocal seen
        seen = run.processes()
        return seen.keys() >= ALL and answers(f"http://127.0.0.1:{run.port}/readyz")

    wait_until(is_whole, "all processes")
    return seen


def kill(run: Run, name: str) -> None:
    """Kill one process and wait until a new one replaces it."""
    old = running_processes(run)[name]
    with suppress(ProcessLookupError):
        os.kill(old, signal.SIGKILL)
    wait_until(lambda: old not in running_processes(run).values(), f"a new {name}")


@pytest.fixture
def run(product: Run, settings: Settings) -> Run:
    settings.DATA_DIR = product.data_dir
    return product


def test_killed_processes_are_restarted_and_ctrl_c_stops_everything(run: Run) -> None:
    processes = running_processes(run)
    listed = json.loads(run.command("status", "--json").stdout)["processes"]
    assert {process["name"]: process["pid"] for process in listed} == processes
    assert "already running" in run.command("run").stderr

    script = run.output[run.output.index("KEY=") : run.output.index("Logs: ")]
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert '"status":"completed"' in said

    for name in sorted(ALL):
        kill(run, name)
    assert re.search(r"^workers +\* exited unexpectedly; restarting", run.output, re.MULTILINE)
    stop_with_ctrl_c(run)


@pytest.fixture
def stopped_directory(run: Run) -> Path:
    """The directory of a stopped product."""
    if run.process.poll() is None:
        stop_with_ctrl_c(run)
    return run.data_dir.parent


def test_restart_keeps_the_data_and_uses_the_bundled_redis(stopped_directory: Path, tmp_path: Path) -> None:
    key = (stopped_directory / "data" / "demo_api_key").read_text(encoding="utf-8")
    with running(stopped_directory, PATH=str(tmp_path)) as run:
        assert key in run.output
        assert psutil.Process(run.processes()["redis"]).name() == "valkey-server"
        assert "Redis keeps an append-only file" in run.command("doctor").stdout
        stopped = run.command("stop")
        assert stopped.returncode == 0, stopped.stderr
        assert run.process.wait(STOP_S) == 0
        assert run.command("status").returncode == 1
        assert not run.leftovers()

"""The whole product as a person starts it, with each of its processes killed in turn."""

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


def end(run: Run) -> None:
    """Press Ctrl-C and see that nothing is left of it."""
    run.process.send_signal(signal.SIGINT)
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


@pytest.fixture
def run(product: Run, settings: Settings) -> Run:
    settings.DATA_DIR = product.data_dir
    return product


def test_the_banners_command_works_what_is_killed_comes_back_and_ctrl_c_leaves_nothing(run: Run) -> None:
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
    end(run)


@pytest.fixture
def place(run: Run) -> Path:
    """The directory of a product that was stopped."""
    if run.process.poll() is None:
        end(run)
    return run.data_dir.parent


def test_the_next_run_keeps_the_data_and_without_redis_on_the_path_it_uses_the_bundled_one(
    place: Path, tmp_path: Path
) -> None:
    key = (place / "data" / "demo_api_key").read_text(encoding="utf-8")
    with running(place, PATH=str(tmp_path)) as run:
        assert key in run.output
        assert psutil.Process(run.processes()["redis"]).name() == "valkey-server"
        assert "Redis keeps an append-only file" in run.command("doctor").stdout
        stopped = run.command("stop")
        assert stopped.returncode == 0, stopped.stderr
        assert run.process.wait(STOP_S) == 0
        assert run.command("status").returncode == 1
        assert not run.leftovers()

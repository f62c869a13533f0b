"""`manage.py stop` and `status` with a real supervisor whose program stops slowly."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import psutil
import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from aiinfra.stack import control, launch, programs
from aiinfra.stack.programs import Program
from tests.support.forked import Forked
from tests.support.processes import STOP_LIMIT_S, start, wait_until

SLOW = """
import pathlib, signal, subprocess, sys, time
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", deaf])
directory = pathlib.Path(sys.argv[1])
(directory / "ready").touch()
while not told or not (directory / "may_end").exists():
    time.sleep(0.02)
child.kill()
child.wait()
"""


@dataclass
class Product:
    """A supervisor with one program."""

    directory: Path
    process: subprocess.Popen[bytes] | Forked

    def let_end(self) -> None:
        (self.directory / "may_end").touch()

    def family(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]


@pytest.fixture
def product(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Product]:
    settings.DATA_DIR = tmp_path
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    programs.log_directory().mkdir()
    slow = Program("workers", [sys.executable, str(tmp_path / "slow.py"), str(tmp_path)], stop_wait_s=100)
    monkeypatch.setattr(programs, "servers", list)
    monkeypatch.setattr(programs, "product", lambda: [slow])
    (tmp_path / "supervisord.conf").write_text(programs.configuration(), encoding="utf-8")
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(tmp_path / "supervisord.conf")]
    with start(command) as process:
        product = Product(tmp_path, process)
        wait_until((tmp_path / "ready").exists, "the program")
        yield product
        product.let_end()


def status() -> dict[str, object]:
    output = StringIO()
    call_command("status", "--json", stdout=output)
    said: dict[str, object] = json.loads(output.getvalue())
    return said


def test_stop_waits_for_all_processes_and_reports_progress(product: Product) -> None:
    family = product.family()
    assert len(family) == 3
    assert status()["state"] == "running"
    output = StringIO()
    stopping = threading.Thread(target=call_command, args=("stop",), kwargs={"stdout": output})
    stopping.start()
    wait_until(lambda: "Waiting for workers" in output.getvalue(), "the progress message")

    said = status()
    assert said["state"] == "stopping"
    assert [process["name"] for process in said["processes"]] == ["workers", "workers-1"]  # type: ignore[attr-defined]
    with pytest.raises(launch.CannotStartError, match=r"still stopping in .*\(workers\)"):
        launch.check_not_running()
    assert stopping.is_alive()
    assert "Stopped" not in output.getvalue()

    product.let_end()
    stopping.join()
    assert output.getvalue().endswith("Stopped.\n")
    ended = {psutil.STATUS_ZOMBIE}
    assert all(not process.is_running() or process.status() in ended for process in family)
    with pytest.raises(control.NotRunningError):
        control.find_supervisor(product.directory)
    launch.check_not_running()


def test_a_second_stop_also_waits(product: Product) -> None:
    outputs = [StringIO(), StringIO()]
    for output in outputs:
        threading.Thread(target=call_command, args=("stop",), kwargs={"stdout": output}).start()
        wait_until(lambda output=output: "Waiting" in output.getvalue(), "the wait")  # type: ignore[misc]
    product.let_end()
    wait_until(lambda: all("Stopped." in output.getvalue() for output in outputs), "both commands to finish")


def test_concurrent_stop_requests_are_not_an_error(product: Product) -> None:
    control._ask_to_stop(product.directory)
    control._ask_to_stop(product.directory)
    assert control.find_supervisor(product.directory).is_stopping


def test_an_interrupted_stop_command_reports_that_stopping_continues(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(control, "_still_running", interrupt)
    with pytest.raises(CommandError, match="still stopping"):
        call_command("stop", stdout=StringIO())
    assert status()["state"] == "stopping"


def test_closing_the_terminal_stops_the_product(product: Product) -> None:
    family = product.family()
    product.let_end()
    product.process.send_signal(signal.SIGHUP)
    assert product.process.wait(STOP_LIMIT_S) == 0
    assert not any(process.is_running() for process in family)

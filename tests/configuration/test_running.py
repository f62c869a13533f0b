"""Commands in another terminal use the port of the running product."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from aiinfra.configuration.running import ADDRESSES, CONFIGURATION, PROCESS_ID
from aiinfra.configuration.setting import Values
from aiinfra.configuration.table import places, providers
from tests.support.processes import stop, wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
Start = Callable[..., None]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Start]:
    """Starts a process with these arguments and writes the files of a running product, like a supervisor."""
    processes = []

    def start(*arguments: str) -> None:
        processes.append(process := subprocess.Popen([*SLEEP, *arguments]))
        # The system shows a new program's arguments a moment after it has started it.
        wait_until(lambda: psutil.Process(process.pid).cmdline() == [*SLEEP, *arguments], "the arguments to be visible")
        (tmp_path / PROCESS_ID).write_text(f"{process.pid}\n", encoding="utf-8")
        (tmp_path / ADDRESSES).write_text(json.dumps({"web": "http://127.0.0.1:8500"}), encoding="utf-8")

    yield start
    for process in processes:
        stop(process)


def port(data_dir: Path, **environment: str) -> int:
    return Values({"AIINFRA_DATA_DIR": str(data_dir), **environment})[places.PORT]


def test_the_port_of_the_running_product_is_the_default(started: Start, tmp_path: Path) -> None:
    started("-c", str(tmp_path / CONFIGURATION))
    assert port(tmp_path) == 8500
    assert Values({"AIINFRA_DATA_DIR": str(tmp_path)})[providers.SANDBOX_PORT] == 8502
    assert port(tmp_path, PORT="9000") == 9000


def test_a_process_id_of_another_program_is_ignored(started: Start, tmp_path: Path) -> None:
    started("-c", str(tmp_path / "other" / CONFIGURATION))
    assert port(tmp_path) == 8000


def test_without_a_running_product_the_default_is_8000(started: Start, tmp_path: Path) -> None:
    assert port(tmp_path) == 8000
    started("-c", str(tmp_path / CONFIGURATION))
    for name, text in ((PROCESS_ID, ""), (PROCESS_ID, "999999999"), (ADDRESSES, "{"), (ADDRESSES, "{}")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert port(tmp_path) == 8000

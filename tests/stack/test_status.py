import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from aiinfra.stack import addresses, control
from tests.support.processes import stop

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def child() -> Iterator[int]:
    """The process ID of a child of this process."""
    process = subprocess.Popen(SLEEP)
    yield process.pid
    stop(process)


@pytest.fixture(autouse=True)
def _programs(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> None:
    """Let this process stand in for the workers' parent."""
    settings.DATA_DIR = tmp_path
    settings.REDIS_URL = "redis://:secret@127.0.0.1:6390/0"
    programs = {"workers": os.getpid(), "banner": 1}
    monkeypatch.setattr(control, "find_supervisor", lambda _: control.Supervisor(1, False, programs))


def output_of(*arguments: str) -> str:
    """The output of the command."""
    output = StringIO()
    call_command("status", *arguments, stdout=output)
    return output.getvalue()


def test_json_lists_addresses_and_processes(child: int) -> None:
    found = json.loads(output_of("--json"))
    assert set(found) == {"state", "web", "sandbox", "redis", "database", "processes"}
    assert found["state"] == "running"
    assert found["redis"] == "redis://:secret@127.0.0.1:6390/0"
    assert found["database"] in {"sqlite", "postgresql"}
    assert found["processes"][0] == {"name": "workers", "pid": os.getpid(), "kind": "worker"}
    (listed,) = [process for process in found["processes"] if process["pid"] == child]
    assert listed["kind"] == "worker"
    assert listed["name"].startswith("workers-")


def test_addresses_are_those_of_the_running_product(settings: Settings) -> None:
    settings.PORT = 8500
    addresses.save()
    settings.PORT, settings.REDIS_URL = 8000, "redis://127.0.0.1:8001/0"
    found = json.loads(output_of("--json"))
    assert (found["web"], found["redis"]) == ("http://127.0.0.1:8500", "redis://:secret@127.0.0.1:6390/0")


def test_the_table_shows_no_password() -> None:
    assert "secret" not in output_of()
    assert "workers" in output_of()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@127.0.0.1:6390/0", "redis://127.0.0.1:6390/0"),
        ("rediss://default:secret@cat.upstash.io:6379", "rediss://cat.upstash.io:6379"),
        ("unix://:secret@/run/redis.sock?password=secret", "unix:///run/redis.sock"),
    ],
)
def test_the_table_shows_any_kind_of_redis_address(settings: Settings, url: str, shown: str) -> None:
    settings.REDIS_URL = url
    assert f"redis     {shown}\n" in output_of()


def test_status_fails_if_nothing_is_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: object) -> None:
        raise control.NotRunningError("Nothing runs")

    monkeypatch.setattr(control, "find_supervisor", nothing)
    with pytest.raises(CommandError, match="Nothing runs"):
        output_of("--json")

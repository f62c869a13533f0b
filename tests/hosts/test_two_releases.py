"""The previous release and this one on one database: upgrade, both together, and rollback, under load."""

import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest

from tests.faults.audit import assert_sound
from tests.faults.stack import Stack
from tests.hosts.load import Load
from tests.hosts.second_host import SecondHost
from tests.support.processes import ROOT

PREVIOUS = "HEAD~1"
REQUESTS = 3


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the previous commit."""
    archive = subprocess.run(["git", "archive", PREVIOUS], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip("NO HISTORY: the previous release was NOT tested beside this one. Clone with all commits.")
    directory = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(directory, filter="data")
    return directory


@pytest.fixture(scope="module")
def older(stack: Stack, previous: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondHost]:
    host = SecondHost(stack, tmp_path_factory.mktemp("older"), previous)
    try:
        yield host
    finally:
        host.shut_down()


def test_upgrade_and_rollback_lose_nothing(stack: Stack, older: SecondHost) -> None:
    accepted: list[str] = []
    ours = [stack.web, stack.workers, stack.scheduler]
    older.start()
    accepted += requests_to(stack, older.url)
    for program in ours:
        program.start()
    stack.wait_until_ready()
    accepted += requests_to(stack, older.url, stack.url)
    for program in older.programs:
        program.stop()
    accepted += requests_to(stack, stack.url)
    older.start()
    accepted += requests_to(stack, older.url, stack.url)
    for program in ours:
        program.stop()
    accepted += requests_to(stack, older.url)
    assert set(assert_sound(stack, accepted).values()) == {"completed"}


def requests_to(stack: Stack, *urls: str) -> list[str]:
    """Enqueue through each URL until every client has sent some requests. Checks that no call failed."""
    with ExitStack() as running:
        loads = [running.enter_context(Load(stack, url, pause_s=0.3)) for url in urls]
        for load in loads:
            load.wait_for_more(REQUESTS)
    assert [load.failures for load in loads] == [[] for _ in loads]
    return [request for load in loads for request in load.accepted]

"""The programs on a read-only root file system, as in containers and systemd units: only the data directory is
writable.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.faults.audit import assert_sound
from tests.faults.databases import fresh_postgres, postgres_template
from tests.faults.program import Program
from tests.faults.stack import MANAGE, Stack
from tests.support.processes import ROOT

NOT_TESTED = "A READ-ONLY ROOT WAS NOT TESTED: changing mounts needs root"
CONFINE = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"'


def confined(directory: Path, argv: Sequence[str]) -> list[str]:
    """The command, for which everything outside the directory is read-only."""
    return ["unshare", "--mount", "sh", "-c", CONFINE, str(directory), *argv]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    data = tmp_path / "data"
    (data / "tmp").mkdir(parents=True)
    if subprocess.run(confined(data, ["test", "!", "-w", str(ROOT)]), capture_output=True, check=False).returncode:
        (pytest.fail if os.environ.get("AIINFRA_CI") else pytest.skip)(NOT_TESTED)
    with fresh_postgres(postgres_template()) as database:
        prepared = Stack(data, database)
        for each in (prepared.workers, prepared.scheduler, prepared.web):
            confine(each, data)
        try:
            prepared.prepare()
            yield prepared
        finally:
            prepared.shut_down()


def confine(program: Program, data: Path) -> None:
    """Confine the program, and set a nonexistent home directory, as for the image's user."""
    program.argv = confined(data, program.argv)
    program.env |= {"TMPDIR": str(data / "tmp"), "HOME": "/nonexistent"}


def test_product_writes_only_to_its_data_directory(stack: Stack) -> None:
    release = confined(stack.directory, [*MANAGE, "release"])
    subprocess.run(release, cwd=ROOT, env={**os.environ, **stack.workers.env}, check=True, capture_output=True)
    stack.revive()
    page = stack.http.get(f"{stack.url}/login/").raise_for_status().text
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
        stack.http.get(stack.url + path).raise_for_status()
    requests = [stack.enqueue("A question"), stack.ask("Another question")]
    assert set(assert_sound(stack, requests).values()) == {"completed"}
    logs = [each.log_tail() for each in (stack.workers, stack.scheduler, stack.web)]
    assert "Read-only file system" not in "".join(logs)

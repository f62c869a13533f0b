"""A kill around a group's COMMIT leaves all of its rows or none, and no answer without its row."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from aiinfra.sqlite.gate import gate_of
from aiinfra.tenants.models import Organization
from tests.support.processes import ROOT
from tests.support.race import database_url

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL groups commits itself"),
]
THREADS = 5


def run(moment: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the process to its end."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "aiinfra.settings",
        "DATABASE_URL": database_url(),
        "AIINFRA_DATA_DIR": str(directory),
    }
    command = [sys.executable, "-m", "tests.sqlite.group_process", str(THREADS), moment]
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, timeout=120)


@pytest.mark.parametrize(("moment", "rows"), [("before the commit", 0), ("before the answers", THREADS)])
def test_kill_during_a_commit_leaves_the_whole_group_or_nothing(moment: str, rows: int, tmp_path: Path) -> None:
    process = run(moment, tmp_path)
    assert process.returncode == -signal.SIGKILL
    assert process.stdout == ""
    assert Organization.objects.count() == rows
    with gate_of(os.path.realpath(connection.settings_dict["NAME"])).passed(0):
        pass


def test_every_thread_gets_its_answer_without_a_crash(tmp_path: Path) -> None:
    process = run("never", tmp_path)
    assert process.returncode == 0
    assert sorted(process.stdout.split()) == sorted(map(str, range(THREADS)))
    assert Organization.objects.count() == THREADS

"""Every program reports each invalid setting in one line and exits before it does anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

PROGRAMS = {
    "check": ["manage.py", "check"],
    "help": ["manage.py", "help"],
    "migrate": ["manage.py", "migrate"],
    "run": ["manage.py", "run"],
    "doctor": ["manage.py", "doctor"],
    "status": ["manage.py", "status"],
    "worker": ["manage.py", "worker"],
    "scheduler": ["manage.py", "scheduler"],
    "web": ["-m", "gunicorn", "-c", "python:aiinfra.stack.gunicorn", "aiinfra.wsgi"],
    "wsgi": ["-c", "import aiinfra.wsgi"],
    "sandbox": ["-m", "aiinfra.providers.sandbox", "--port", "1"],
    "pytest": ["-m", "pytest", "--collect-only", "-q", "tests/configuration"],
}


def started(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_program_starts_with_an_invalid_setting(name: str, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    done = started(PROGRAMS[name], PORT="99999", QUEUE_RETENTION_DAYS="-1", AIINFRA_DATA_DIR=str(data_dir))
    assert done.returncode == 78
    assert done.stderr.splitlines() == [
        "PORT must be between 1 and 65535, not 99999",
        "QUEUE_RETENTION_DAYS must be between 1 and 3650, not -1",
    ]
    assert done.stdout == ""
    assert not data_dir.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_read_only_data_directory_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = started(PROGRAMS["check"], AIINFRA_DATA_DIR=str(tmp_path))
    assert done.returncode == 78
    assert done.stderr.startswith("AIINFRA_DATA_DIR must ")


def test_an_unreadable_secret_reports_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / "secret_key").mkdir()
    done = started(PROGRAMS["check"], AIINFRA_DATA_DIR=str(tmp_path), SECRET_KEY="")
    assert done.returncode == 78
    assert done.stderr.splitlines()[-1].startswith("AIINFRA_DATA_DIR must ")

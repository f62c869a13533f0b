"""Forked programs behave like programs with their own interpreter."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.support.forked import Forked, begin, run
from tests.support.processes import ROOT, wait_until
from tests.support.reporter import LASTING

REPORTER = [sys.executable, "-m", "tests.support.reporter"]
TESTS = f"""
import os, psutil, time
from tests.support.forked import run
run({REPORTER}, os.environ)
print(*[child.pid for child in psutil.Process().children()], flush=True)
time.sleep(600)
"""


@contextmanager
def lasting() -> Iterator[Forked]:
    """A running program, which is ended at the end of the block."""
    with tempfile.TemporaryFile("w+") as output:
        process = begin([*REPORTER, LASTING], os.environ, stdout=output, stderr=output)
        assert isinstance(process, Forked)
        try:
            wait_until(lambda: os.fstat(output.fileno()).st_size, "the report")
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("is_leader", [False, True])
def test_a_forked_program_has_only_its_own_arguments_environment_and_files(is_leader: bool) -> None:
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as output, lasting():
        given.write("some input")
        given.seek(0)
        process = begin([*REPORTER, "one"], {"GIVEN": "1"}, stdin=given, stdout=output, new_session=is_leader)
        assert process.wait() == process.poll() == 3
        output.seek(0)
        assert json.load(output) == {
            "arguments": ["one"],
            "environment": {"GIVEN": "1"},
            "input": "some input",
            "descriptors": [0, 1, 2],
            "leads_session": is_leader,
            "obeys_its_terminal": True,
            "loads": ["django"],
        }


def test_a_signal_ends_a_forked_program() -> None:
    with lasting() as process:
        assert process.poll() is None
        process.terminate()
        assert process.wait() == process.returncode == -signal.SIGTERM
        assert not psutil.pid_exists(process.pid)


def test_run_returns_status_output_and_errors() -> None:
    done = run(REPORTER, os.environ)
    assert (done.returncode, json.loads(done.stdout)["arguments"], done.stderr) == (3, [], "an error\n")
    with pytest.raises(subprocess.CalledProcessError):
        run(REPORTER, os.environ, check=True)
    with pytest.raises(subprocess.TimeoutExpired):
        run([*REPORTER, LASTING], os.environ, timeout_s=0.1)


def test_a_program_with_other_modules_gets_its_own_interpreter() -> None:
    process = begin(REPORTER, {"PYTHONPATH": "elsewhere"})
    assert isinstance(process, subprocess.Popen)
    process.wait()


def test_the_server_ends_with_the_test_process() -> None:
    with subprocess.Popen([sys.executable, "-c", TESTS], cwd=ROOT, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout
        server = psutil.Process(int(tests.stdout.readline()))
        tests.kill()
    wait_until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, "the server to end")

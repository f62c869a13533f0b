"""Runs processes of a module that ends with `run_each`, such as `tests.faults.crash`, which kill themselves."""

import json
import os
import signal
import sys
from collections.abc import Sequence

from tests.faults.stack import Stack
from tests.support.forked import run
from tests.support.processes import START_LIMIT_S


def run_until_killed(stack: Stack, module: str, processes: Sequence[Sequence[str]]) -> list[str]:
    """Run a process for each list of arguments in turn. Returns what each printed before it died."""
    environment = {**os.environ, **stack.env, "DJANGO_SETTINGS_MODULE": "aiinfra.settings"}
    command = [sys.executable, "-m", module, json.dumps(processes)]
    done = run(command, environment, START_LIMIT_S)
    assert done.returncode == 0, done.stderr[-2000:]
    ended = json.loads(done.stdout)
    for arguments, (status, _) in zip(processes, ended, strict=True):
        assert status == -signal.SIGKILL, f"{arguments} did not reach its point: {done.stderr[-2000:]}"
    return [printed for _, printed in ended]

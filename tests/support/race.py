"""Real processes that race for something, on the test's own database.

A module of racers ends with `run_racer(RACES)`; a test starts it once for each (name, argument) with `run_race`. All
begin at the same moment, and what each of them achieved is printed, one a line.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import django
from django.db import connection

from tests.support.processes import ROOT, wait_until

PROVIDER_KEYS = dict.fromkeys(("OPENAI_API_KEY", "DEEPSEEK_API_KEY", "ANTHROPIC_API_KEY"), "")
SIGNALS_S = 60
Racer = Callable[[str], Iterator[object]]


def database_url() -> str:
    """The test's own database, as another process finds it."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{settings['NAME']}"
    return f"postgres://{settings['USER']}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"


def run_race(module: str, racers: Sequence[tuple[str, str]], directory: Path, **environment: str) -> list[list[str]]:
    """Start one process for each (name, argument), let all of them go at once, and return what each printed."""
    variables = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "aiinfra.settings",
        "DATABASE_URL": database_url(),
        "AIINFRA_DATA_DIR": str(directory),
        **PROVIDER_KEYS,
        **environment,
    }
    start = directory / f"start-{time.monotonic_ns()}"
    commands = [[sys.executable, "-m", module, name, str(start), argument] for name, argument in racers]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True) for command in commands
    ]
    try:
        wait_until(lambda: len(list(directory.glob(f"{start.name}.*"))) == len(racers), "the racers", limit_s=90)
        start.touch()
        printed = [process.communicate(timeout=90)[0].split() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0] * len(processes)
    return printed


def tell(event: str) -> None:
    """Let the other racers know that something has happened."""
    Path(f"{sys.argv[2]}-{event}").touch()


def wait_for(event: str) -> None:
    """Until another racer has told it, so that no racer is through before the others have begun."""
    end = time.monotonic() + SIGNALS_S
    while not Path(f"{sys.argv[2]}-{event}").exists() and time.monotonic() < end:
        time.sleep(0.001)


def run_racer(races: Mapping[str, Racer]) -> None:
    """The main program of a module of racers."""
    name, start, argument = sys.argv[1:]
    django.setup()
    Path(f"{start}.{name}.{os.getpid()}").touch()
    while not Path(start).exists():
        time.sleep(0.001)
    for achievement in races[name](argument):
        print(achievement, flush=True)

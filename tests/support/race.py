"""Runs concurrent processes ("racers") on the test's own database.

A module of racers ends with `run_racer(RACES)`. A test uses the fixture `run_race`, which makes it a process test, and
calls it with that module and the (name, argument) of each racer. The process loads the product, forks the racers, and
starts them at the same time.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import django
from django.conf import settings
from django.db import connection

from tests.support.databases import PATIENCE_S, adapt_to_tests
from tests.support.forked import begin

PROVIDER_KEYS = dict.fromkeys(("OPENAI_API_KEY", "DEEPSEEK_API_KEY", "ANTHROPIC_API_KEY"), "")
SIGNALS_S = 120
RACE_S = 240
Racer = Callable[[str], Iterator[object]]
RunRace = Callable[..., list[list[str]]]

_fork = multiprocessing.get_context("fork")


def database_url() -> str:
    """The URL of the test's own database for other processes."""
    names = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{names['NAME']}"
    return f"postgres://{names['USER']}@{names['HOST']}:{names['PORT']}/{names['NAME']}"


def run_race(module: str, racers: Sequence[tuple[str, str]], directory: Path, **environment: str) -> list[list[str]]:
    """Run one process for each (name, argument), start them at the same time, and return the output of each.

    Racers end with the test, even if it is killed, because their input is a pipe that only this process keeps open.
    """
    variables = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "aiinfra.settings",
        "DATABASE_URL": database_url(),
        "AIINFRA_DATA_DIR": str(directory),
        **PROVIDER_KEYS,
        **environment,
    }
    command = [sys.executable, "-m", module, tempfile.mkdtemp(dir=directory), json.dumps(racers)]
    lifeline, held = os.pipe()
    with tempfile.TemporaryFile("w+") as output:
        process = begin(command, variables, stdin=lifeline, stdout=output)
        os.close(lifeline)
        try:
            process.wait(RACE_S)
        finally:
            os.close(held)
            process.kill()
            process.wait()
        assert process.returncode == 0, f"{module} ended with status {process.returncode}"
        output.seek(0)
        achieved: list[list[str]] = json.load(output)
    return achieved


# Functions for racers


class _Race:
    """The state shared by all racers of a race."""

    barrier: Barrier
    events: Path


def signal_event(event: str) -> None:
    """Signal an event to the other racers."""
    (_Race.events / event).touch()


def is_signaled(event: str) -> bool:
    """Whether a racer has signaled the event."""
    return (_Race.events / event).exists()


def wait_for(event: str) -> None:
    """Block until a racer has signaled the event. Raises TimeoutError."""
    end = time.monotonic() + SIGNALS_S
    while not is_signaled(event):
        if time.monotonic() > end:
            raise TimeoutError(event)
        time.sleep(0.002)


def wait_for_all() -> None:
    """Block until every racer has called this."""
    _Race.barrier.wait(SIGNALS_S)


def run_racer(races: Mapping[str, Racer], prepare: Callable[[], object] = lambda: None) -> None:
    """The main program of a module of racers. `prepare` runs once before the racers are forked."""
    events, racers = Path(sys.argv[1]), json.loads(sys.argv[2])
    lifeline = os.dup(sys.stdin.fileno())  # the racers have a different standard input
    django.setup()
    adapt_to_tests(connection)
    settings.REDIS_TIMEOUT_S = PATIENCE_S
    prepare()
    _Race.events, _Race.barrier = events, _fork.Barrier(len(racers))
    results: list[Connection] = []
    for name, argument in racers:
        mine, theirs = _fork.Pipe(duplex=False)
        arguments = (races[name], argument, theirs, lifeline)
        _fork.Process(target=_run, args=arguments, daemon=True).start()
        theirs.close()
        results.append(mine)
    _end_with(lifeline)
    print(json.dumps([result.recv() for result in results]))


def _run(racer: Racer, argument: str, result: Connection, lifeline: int) -> None:
    _end_with(lifeline)
    wait_for_all()
    result.send([str(achievement) for achievement in racer(argument)])


def _end_with(lifeline: int) -> None:
    """End this process when the test's process has ended, which closes the other end of the pipe."""

    def watch() -> None:
        os.read(lifeline, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
